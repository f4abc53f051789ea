// Two-dimensional convolution of the cpu backend: forward, data gradient, weight gradient, bias
// gradient.
//
// Images are (N, H, W, C), weights (K, R, S, C / groups), outputs (N, H', W', K); a 1-d convolution
// is H = R = 1. Three routes compute the same thing: "own", implicit matrix products over gemm.h
// for float and double, always there; "onednn" for float where slope was built with it; and
// "winograd" for float and 3x3 with stride 1, which multiplies less and errs more: by about 3e-6 of
// the result's size (rms), where the others err by 2e-7. The choice looks at the shape without the
// batch, never at the threads or a clock. SLOPE_CONV=own in the environment turns oneDNN off.
//
// On all routes a result is the same bits for any number of threads, and a sample's output and
// data gradient do not depend on the other samples of the batch. Weight gradients add up parts of
// the batch in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace slope::cpu {

inline constexpr int64_t kWeightGradientChunks = 8;

struct ConvShape {
  int64_t batch = 0, height = 0, width = 0, channels = 0;    // x: (N, H, W, C)
  int64_t filters = 0, kernel_height = 1, kernel_width = 1;  // w: (K, R, S, C / groups)
  int64_t stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;  // zeros on both sides
  int64_t dilation_height = 1, dilation_width = 1;
  int64_t groups = 1;

  int64_t output_height() const {
    return (height + 2 * padding_height - dilation_height * (kernel_height - 1) - 1) /
               stride_height +
           1;
  }
  int64_t output_width() const {
    return (width + 2 * padding_width - dilation_width * (kernel_width - 1) - 1) / stride_width + 1;
  }
  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
};

enum class ConvPass { forward, data_gradient, weight_gradient };
// automatic and direct choose: the fastest of all, and the faster of own and onednn. The named ones
// throw ValueError where they cannot serve.
enum class ConvRoute { automatic, direct, own, onednn, winograd };

// Names the weights of a call, so that a prepared convolution can keep its transformed copy of them
// while they stay the same. storage 0 (the default) names nothing: the copy is made anew on every
// run.
struct WeightVersion {
  uint64_t storage = 0, version = 0;
  const void* data = nullptr;  // tells weights in one storage apart
};

// One pass of one convolution, made ready to run many times. Not for two threads at once: it holds
// transformed weights.
//   pass             first              second                   result
//   forward          x: (N, H, W, C)    w: (K, R, S, C / groups) y: (N, H', W', K), bias added
//   data_gradient    g: (N, H', W', K)  w: (K, R, S, C / groups) dx: (N, H, W, C)
//   weight_gradient  x: (N, H, W, C)    g: (N, H', W', K)        dw: (K, R, S, C / groups)
template <typename T>
class Convolution {
 public:
  Convolution(const ConvShape& shape, ConvPass pass, ConvRoute route = ConvRoute::automatic);
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;

  ConvRoute route() const;       // the one chosen: own, onednn or winograd
  size_t scratch_bytes() const;  // of run(); the memory must be 64-byte aligned
  // bias: (K) or null, forward only. weights: the version of w; unused in weight_gradient.
  // Allocates nothing.
  void run(const T* first, const T* second, const T* bias, T* result, void* scratch,
           WeightVersion weights = {});

  struct Implementation;

 private:
  std::unique_ptr<Implementation> implementation_;
};

// db (K) = sum of g over all but its last axis. g: (rows, K) with rows = N * H' * W'. Rows are
// added in a fixed tree.
size_t bias_gradient_scratch_bytes(int64_t rows, int64_t filters, size_t element_bytes);
template <typename T>
void bias_gradient(int64_t rows, int64_t filters, const T* g, T* db, void* scratch);

}  // namespace slope::cpu
