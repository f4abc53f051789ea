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

TimeConv2d::TimeConv2d(const Options& options, Rng& rng)
    : options_(options),
      weight(add_parameter(
          "weight", initial_weight(options.initial,
                                   {options.out, options.kernel, options.kernel, options.in + 1},
                                   rng, options.parameters))),
      bias(add_parameter("bias", initial_bias(options.initial, options.out, fan_in(weight.shape()),
                                              rng, options.parameters))) {}

TimeConv2d::Prepared TimeConv2d::prepare(int64_t height, int64_t width) const {
  return traced([&] {
    const int64_t time = options_.time == TimeChannel::first ? 0 : options_.in;
    const int64_t rest = options_.time == TimeChannel::first ? 1 : 0;
    const Tensor plane = ones({1, height, width, 1}, weight.dtype(), weight.device());
    const Tensor map = conv2d(plane, slice(weight, 3, time, time + 1), {},
                              {.padding = {options_.padding, options_.padding}});
    return Prepared{contiguous(slice(weight, 3, rest, rest + options_.in)), bias, squeeze(map, 0)};
  });
}

Tensor TimeConv2d::convolve(const Tensor& x, const Tensor& prepared_weight,
                            const Tensor& prepared_bias) const {
  return traced([&] {
    return conv2d(x, prepared_weight, prepared_bias,
                  {.padding = {options_.padding, options_.padding}});
  });
}

std::string TimeConv2d::describe() const {
  return concat("TimeConv2d ", options_.in, "+t->", options_.out, ", ", options_.kernel, "x",
                options_.kernel, ", padding ", options_.padding,
                options_.time == TimeChannel::first ? ", time first" : ", time last");
}

}  // namespace slope::nn
