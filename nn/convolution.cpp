#include "nn/convolution.h"

#include "core/ops/movement.h"

namespace slope::nn {

Conv2d::Conv2d(const Conv2dLayerOptions& options, Rng& rng)
    : WeightedLayer(
          options.weight_norm,
          initial_weight(options.initial,
                         {options.out, options.kernel, options.kernel, options.in / options.groups},
                         rng, options.parameters),
          rng, options.parameters),
      options_(options),
      bias(options.bias ? add_parameter(
                              "bias", initial_bias(options.initial, options.out,
                                                   fan_in(weight.shape()), rng, options.parameters))
                        : Tensor()) {}

std::string Conv2d::describe() const {
  std::string text = concat("Conv2d ", options_.in, "->", options_.out, ", ", options_.kernel, "x",
                            options_.kernel);
  if (options_.stride != 1) text += concat(", stride ", options_.stride);
  if (options_.padding != 0) text += concat(", padding ", options_.padding);
  if (options_.dilation != 1) text += concat(", dilation ", options_.dilation);
  if (options_.groups != 1) text += concat(", groups ", options_.groups);
  if (!options_.bias) text += ", no bias";
  return text + norm_text();
}

Conv1d::Conv1d(const Conv1dLayerOptions& options, Rng& rng)
    : WeightedLayer(options.weight_norm,
                    initial_weight(options.initial, {options.out, options.kernel, options.in}, rng,
                                   options.parameters),
                    rng, options.parameters),
      options_(options),
      bias(options.bias ? add_parameter(
                              "bias", initial_bias(options.initial, options.out,
                                                   fan_in(weight.shape()), rng, options.parameters))
                        : Tensor()) {}

std::string Conv1d::describe() const {
  std::string text = concat("Conv1d ", options_.in, "->", options_.out, ", ", options_.kernel);
  if (options_.stride != 1) text += concat(", stride ", options_.stride);
  if (options_.padding != 0) text += concat(", padding ", options_.padding);
  if (!options_.bias) text += ", no bias";
  return text + norm_text();
}

namespace {

Shape time_weight_shape(const TimeConvOptions& options, int dimensions) {
  Shape shape{options.out};
  for (int i = 0; i < dimensions; ++i) shape.push_back(options.kernel);
  shape.push_back(options.in + 1);
  return shape;
}

}  // namespace

TimeConv::TimeConv(const TimeConvOptions& options, int dimensions, Rng& rng)
    : options_(options),
      dimensions_(dimensions),
      weight(add_parameter(
          "weight", initial_weight(options.initial, time_weight_shape(options, dimensions), rng,
                                   options.parameters))),
      bias(options.bias ? add_parameter(
                              "bias", initial_bias(options.initial, options.out,
                                                   fan_in(weight.shape()), rng, options.parameters))
                        : Tensor()) {}

Tensor TimeConv::convolution(const Tensor& x, const Tensor& w, const Tensor& b) const {
  const int64_t padding = options_.padding;
  return dimensions_ == 1 ? conv1d(x, w, b, {.padding = padding})
                          : conv2d(x, w, b, {.padding = {padding, padding}});
}

TimeConv::Prepared TimeConv::prepare_for(const Shape& sizes) const {
  return traced([&] {
    const int channels = dimensions_ + 1;  // the axis
    const int64_t time = options_.time == TimeChannel::first ? 0 : options_.in;
    const int64_t rest = options_.time == TimeChannel::first ? 1 : 0;
    Shape shape{1};
    for (const int64_t size : sizes) shape.push_back(size);
    shape.push_back(1);
    const Tensor map = convolution(ones(shape, weight.dtype(), weight.device()),
                                   slice(weight, channels, time, time + 1), {});
    return Prepared{contiguous(slice(weight, channels, rest, rest + options_.in)), bias,
                    squeeze(map, 0)};
  });
}

Tensor TimeConv::convolve(const Tensor& x, const Tensor& prepared_weight,
                          const Tensor& prepared_bias) const {
  return traced([&] { return convolution(x, prepared_weight, prepared_bias); });
}

std::string TimeConv::describe() const {
  std::string kernel = std::to_string(options_.kernel);
  if (dimensions_ == 2) kernel += "x" + kernel;
  return concat("TimeConv", dimensions_, "d ", options_.in, "+t->", options_.out, ", ", kernel,
                ", padding ", options_.padding,
                options_.time == TimeChannel::first ? ", time first" : ", time last",
                options_.bias ? "" : ", no bias");
}

}  // namespace slope::nn
