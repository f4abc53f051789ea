// Convolution layers, and the convolution with a time channel that ODE fields use.
#pragma once

#include "core/ops/norm.h"
#include "core/ops/window.h"
#include "nn/parametrization.h"

namespace slope::nn {

struct Conv2dLayerOptions {
  int64_t in = 1;
  int64_t out = 1;
  int64_t kernel = 3;  // height and width
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  Initial initial = Initial::standard;
  WeightNorm weight_norm = WeightNorm::none;
  ParameterOptions parameters = {};

  Conv2dOptions window() const {
    return {{stride, stride}, {padding, padding}, {dilation, dilation}, groups};
  }
};

// x: (N, H, W, in) -> (N, H', W', out). weight: (out, kernel, kernel, in / groups), bias: (out).
class Conv2d final : public WeightedLayer {
 public:
  Conv2d(const Conv2dLayerOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return apply_to(x, weight_in(pass), bias);
  }
  // With other tensors for the weights: what an ODE field does with its context.
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b) const {
    return traced([&] { return conv2d(x, w, b, options_.window()); });
  }
  std::string describe() const override;

 private:
  Conv2dLayerOptions options_;

 public:
  const Tensor bias;
};

struct Conv1dLayerOptions {
  int64_t in = 1;
  int64_t out = 1;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 0;
  bool bias = true;
  Initial initial = Initial::standard;
  WeightNorm weight_norm = WeightNorm::none;
  ParameterOptions parameters = {};
};

// x: (N, W, in) -> (N, W', out). weight: (out, kernel, in), bias: (out).
class Conv1d final : public WeightedLayer {
 public:
  Conv1d(const Conv1dLayerOptions& options, Rng& rng);
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return apply_to(x, weight_in(pass), bias);
  }
  // With other tensors for the weights: what an ODE field does with its context.
  Tensor apply_to(const Tensor& x, const Tensor& w, const Tensor& b) const {
    return traced(
        [&] { return conv1d(x, w, b, {.stride = options_.stride, .padding = options_.padding}); });
  }
  std::string describe() const override;

 private:
  Conv1dLayerOptions options_;

 public:
  const Tensor bias;
};

enum class TimeChannel { first, last };

struct TimeConvOptions {
  int64_t in = 1;
  int64_t out = 1;
  int64_t kernel = 3;
  int64_t padding = 1;
  TimeChannel time = TimeChannel::first;
  bool bias = true;
  Initial initial = Initial::standard;
  ParameterOptions parameters = {};
};

// conv([t, x]), stride 1, without ever joining t to x: conv(x) + t * map, where map is the
// convolution of ones with the time weights (DESIGN 8.2). In one or two dimensions.
class TimeConv : public Module {
 public:
  // What a solve needs of this layer, made once on the caller's tape and put into the field's
  // context.
  struct Prepared {
    Tensor weight;    // (out, kernel.., in): the part for x
    Tensor bias;      // (out), or undefined
    Tensor time_map;  // (.., out): the convolution of ones with the part for t
  };
  // x: (N, .., in) -> (N, .., out), without its time term: the norm that follows adds t * map
  // (TimeTerm), or whoever calls does.
  Tensor convolve(const Tensor& x, const Tensor& prepared_weight,
                  const Tensor& prepared_bias) const;
  std::string describe() const override;

 protected:
  TimeConv(const TimeConvOptions& options, int dimensions, Rng& rng);
  // sizes: of the x to come, without N and channels.
  Prepared prepare_for(const Shape& sizes) const;

 private:
  Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& b) const;

  TimeConvOptions options_;
  int dimensions_;

 public:
  const Tensor weight;  // (out, kernel.., in + 1): one tensor
  const Tensor bias;    // (out), or undefined
};

// x: (N, W, in) -> (N, W', out).
class TimeConv1d final : public TimeConv {
 public:
  TimeConv1d(const TimeConvOptions& options, Rng& rng) : TimeConv(options, 1, rng) {}
  Prepared prepare(int64_t width) const { return prepare_for({width}); }
};

// x: (N, H, W, in) -> (N, H', W', out).
class TimeConv2d final : public TimeConv {
 public:
  TimeConv2d(const TimeConvOptions& options, Rng& rng) : TimeConv(options, 2, rng) {}
  Prepared prepare(int64_t height, int64_t width) const { return prepare_for({height, width}); }
};

}  // namespace slope::nn
