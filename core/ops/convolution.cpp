// conv2d and its two gradients, which are closed under differentiation: with D =
// conv2d_data_gradient and W = conv2d_weight_gradient,  <g, conv(x, w)> = <D(g, w), x> = <W(x, g),
// w>,  so the gradient of each of the three in each of its arguments is another one of the three.
#include "core/dispatch.h"
#include "core/ops/contract.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/window.h"
#include "core/ops/window_taps.h"

namespace slope {
namespace {

// ---- checks -------------------------------------------------------------------------------------

// " For one image write ..", where only the batch axis is missing.
std::string missing_batch_repair(const Shape& x, int rank) {
  if (x.rank() != rank - 1) return "";
  std::string list = "1";
  for (const int64_t length : x) list += concat(", ", length);
  return concat(" For one ", rank == 3 ? "sequence" : "image", " write x.reshape({", list, "}).");
}

// ", or use .groups = ..", where another number of groups would fit these weights.
std::string groups_repair(const Shape& x, const Shape& w, const Conv2dOptions& options) {
  const int64_t channels = x.back(), share = w.back();
  if (options.groups != 1 || share < 2 || channels % share != 0) return "";
  const int64_t groups = channels / share;
  return groups > 1 && w[0] % groups == 0 ? concat(", or use .groups = ", groups) : "";
}

// Checks a convolution of x: (N, H, W, C) with w: (K, R, S, C / groups), or without H and R.
// `arguments` shows both for the message.
WindowSizes check_convolution(const char* where, const Description& arguments, const Shape& x,
                              const Shape& w, const Conv2dOptions& options,
                              bool one_dimensional = false) {
  const int rank = one_dimensional ? 3 : 4;
  if (x.rank() != rank) {
    throw ShapeError(concat(where, ": ", arguments(), "; x has ", x.rank(), " axes, expected ",
                            rank, one_dimensional ? ": (N, W, C)." : ": (N, H, W, C).",
                            missing_batch_repair(x, rank)));
  }
  if (w.rank() != rank) {
    throw ShapeError(
        concat(where, ": ", arguments(), "; w has ", w.rank(), " axes, expected ", rank,
               one_dimensional ? ": (K, S, C / groups)." : ": (K, R, S, C / groups)."));
  }
  const int64_t channels = x.back(), groups = options.groups;
  if (groups < 1) throw ValueError(concat(where, ": .groups = ", groups, ", expected at least 1."));
  if (channels % groups != 0 || w[0] % groups != 0) {
    throw ShapeError(concat(where, ": groups do not divide the channels: ", arguments(),
                            "; x axis ", rank - 1, " is ", channels, ", w axis 0 is ", w[0],
                            ", .groups = ", groups, ". Both must be multiples of it."));
  }
  if (w.back() * groups != channels) {
    const std::string expected =
        groups == 1 ? "" : concat(" with .groups = ", groups, ", expected ", channels / groups);
    throw ShapeError(concat(where, ": channels differ: ", arguments(), "; x axis ", rank - 1,
                            " is ", channels, ", w axis ", rank - 1, " is ", w.back(), expected,
                            ". Build the layer with .in = ", channels, groups_repair(x, w, options),
                            "."));
  }
  const WindowSizes sizes =
      one_dimensional ? conv2d_sizes({x[0], 1, x[1], x[2]}, {w[0], 1, w[1], w[2]}, options)
                      : conv2d_sizes(x, w, options);
  check_window(where, arguments, sizes, one_dimensional);
  return sizes;
}

void check_bias(const Call& c, const Description& arguments) {
  const int64_t filters = c.in(1).shape()[0];
  if (!c.has(2) || c.in(2).shape() == Shape{filters}) return;
  throw ShapeError(concat(c.op.name, ": bias differs: ", arguments(), "; expected b (", filters,
                          "): one value for each filter, w axis 0."));
}

Shape image_shape(const WindowSizes& z) { return {z.batch, z.height, z.width, z.channels}; }
Shape weight_shape(const WindowSizes& z) {
  return {z.filters, z.window_height, z.window_width, z.channels / z.groups};
}
Shape result_shape(const WindowSizes& z) {
  return {z.batch, z.result_height, z.result_width, z.filters};
}

void check_result(const Call& c, const Description& arguments, const Tensor& g,
                  const WindowSizes& z) {
  if (g.shape() == result_shape(z)) return;
  throw ShapeError(concat(c.op.name, ": the result has another shape: ", arguments(),
                          "; expected g ", result_shape(z), ", the shape of conv2d(x, w)."));
}

// ---- decompositions -----------------------------------------------------------------------------
// A convolution is a sum over the taps of its window; each tap is one matrix product over the
// channels.

// What belongs to group `i`: x's and g's share of the last axis, w's share of the filters.
Tensor channels_of(const Tensor& x, int64_t i, int64_t groups) {
  const int64_t n = x.dim(3) / groups;
  return groups == 1 ? x : slice(x, 3, i * n, (i + 1) * n);
}
Tensor filters_of(const Tensor& w, int64_t i, int64_t groups) {
  const int64_t n = w.dim(0) / groups;
  return groups == 1 ? w : slice(w, 0, i * n, (i + 1) * n);
}
// w: (K, R, S, C) -> (K, C)
Tensor tap_weights(const Tensor& w, int64_t r, int64_t s) {
  return squeeze(squeeze(slice(slice(w, 1, r, r + 1), 2, s, s + 1), 2), 1);
}
// x: (N, H, W, C) -> (N H W, C)
Tensor as_rows(const Tensor& x) { return x.reshape({x.dim(0) * x.dim(1) * x.dim(2), x.dim(3)}); }

// Calls f(r, s) for each tap.
template <typename F>
void for_each_tap(const WindowSizes& z, F f) {
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) f(r, s);
  }
}

void add_to(Tensor* sum, const Tensor& term) { *sum = sum->defined() ? *sum + term : term; }

Tensor join(const Tensors& parts, int axis) {
  return parts.size() == 1 ? parts.front() : concatenate(parts, axis);
}

Tensors conv2d_decompose(const Call& c) {
  const auto& options = c.as<Conv2dOptions>();
  const WindowSizes z = conv2d_sizes(c.in(0).shape(), c.in(1).shape(), options);
  const Tensor padded = pad_image(c.in(0), z);
  Tensors parts;
  for (int64_t i = 0; i < z.groups; ++i) {
    const Tensor x = channels_of(padded, i, z.groups);
    const Tensor w = filters_of(c.in(1), i, z.groups);
    Tensor y;
    for_each_tap(z, [&](int64_t r, int64_t s) {
      add_to(&y, matmul(tap_pixels(x, z, r, s), tap_weights(w, r, s), {.transpose_b = true}));
    });
    parts.push_back(y);
  }
  const Tensor y = join(parts, 3);
  return {c.has(2) ? y + c.in(2) : y};
}

Tensors data_gradient_decompose(const Call& c) {
  const auto& [options, x_shape] = c.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(x_shape, c.in(1).shape(), options);
  Tensors parts;
  for (int64_t i = 0; i < z.groups; ++i) {
    const Tensor g = channels_of(c.in(0), i, z.groups);
    const Tensor w = filters_of(c.in(1), i, z.groups);
    Tensor padded;
    for_each_tap(z, [&](int64_t r, int64_t s) {
      add_to(&padded, spread_tap(matmul(g, tap_weights(w, r, s)), z, r, s));
    });
    parts.push_back(crop_image(padded, z));
  }
  return {join(parts, 3)};
}

Tensors weight_gradient_decompose(const Call& c) {
  const auto& [options, w_shape] = c.as<Conv2dGradient>();
  const WindowSizes z = conv2d_sizes(c.in(0).shape(), w_shape, options);
  const Tensor padded = pad_image(c.in(0), z);
  Tensors parts;
  for (int64_t i = 0; i < z.groups; ++i) {
    const Tensor x = channels_of(padded, i, z.groups);
    const Tensor g = as_rows(channels_of(c.in(1), i, z.groups));
    Tensors taps;
    for_each_tap(z, [&](int64_t r, int64_t s) {
      taps.push_back(matmul(g, as_rows(tap_pixels(x, z, r, s)), {.transpose_a = true}));
    });
    parts.push_back(stack(taps, 1));  // (K / groups, R S, C / groups)
  }
  return {join(parts, 0).reshape(w_shape)};
}

// ---- records ------------------------------------------------------------------------------------

OutSpecs conv2d_shape(const Call& c) {
  check_float(c, {"x", "w", "b"});
  check_same_dtype(c, {"x", "w", "b"});
  const auto arguments = [&] { return describe_arguments(c, {"x", "w", "b"}); };
  const WindowSizes z = check_convolution("conv2d", arguments, c.in(0).shape(), c.in(1).shape(),
                                          c.as<Conv2dOptions>());
  check_bias(c, arguments);
  return {{result_shape(z), c.in(0).dtype()}};
}

OutSpecs data_gradient_shape(const Call& c) {
  check_float(c, {"g", "w"});
  check_same_dtype(c, {"g", "w"});
  const Conv2dOptions& options = c.as<Conv2dGradient>().options;
  const Shape& x_shape = c.as<Conv2dGradient>().shape;
  const auto arguments = [&] {
    return concat(describe_arguments(c, {"g", "w"}), ", x_shape ", x_shape);
  };
  const WindowSizes z = check_convolution(c.op.name, arguments, x_shape, c.in(1).shape(), options);
  check_result(c, arguments, c.in(0), z);
  return {{image_shape(z), c.in(0).dtype()}};
}

OutSpecs weight_gradient_shape(const Call& c) {
  check_float(c, {"x", "g"});
  check_same_dtype(c, {"x", "g"});
  const Conv2dOptions& options = c.as<Conv2dGradient>().options;
  const Shape& w_shape = c.as<Conv2dGradient>().shape;
  const auto arguments = [&] {
    return concat(describe_arguments(c, {"x", "g"}), ", w_shape ", w_shape);
  };
  const WindowSizes z = check_convolution(c.op.name, arguments, c.in(0).shape(), w_shape, options);
  check_result(c, arguments, c.in(1), z);
  return {{weight_shape(z), c.in(0).dtype()}};
}

Tensors conv2d_vjp(const Vjp& v) {
  const auto& options = v.as<Conv2dOptions>();
  Tensor dx, dw, db;
  if (v.wanted(0)) dx = conv2d_data_gradient(v.g(), v.in(1), v.in(0).shape(), options);
  if (v.wanted(1)) dw = conv2d_weight_gradient(v.in(0), v.g(), v.in(1).shape(), options);
  if (v.wanted(2)) db = sum(v.g(), {0, 1, 2});
  return {dx, dw, db};
}

// inputs: g: (N, H', W', K), w; the cotangent u has the shape of x
Tensors data_gradient_vjp(const Vjp& v) {
  const auto& options = v.as<Conv2dGradient>().options;
  Tensor dg, dw;
  if (v.wanted(0)) dg = conv2d(v.g(), v.in(1), {}, options);
  if (v.wanted(1)) dw = conv2d_weight_gradient(v.g(), v.in(0), v.in(1).shape(), options);
  return {dg, dw};
}

// inputs: x, g: (N, H', W', K); the cotangent u has the shape of w
Tensors weight_gradient_vjp(const Vjp& v) {
  const auto& options = v.as<Conv2dGradient>().options;
  Tensor dx, dg;
  if (v.wanted(0)) dx = conv2d_data_gradient(v.in(1), v.g(), v.in(0).shape(), options);
  if (v.wanted(1)) dg = conv2d(v.in(0), v.g(), {}, options);
  return {dx, dg};
}

// Shapes that all three records are tested on.
struct Case {
  Shape x, w;
  Conv2dOptions options = {};
};
std::vector<Case> cases() {
  return {
      {{2, 5, 5, 3}, {4, 3, 3, 3}},
      {{2, 4, 5, 3}, {4, 3, 3, 3}, {.padding = {1, 1}}},
      {{1, 6, 6, 2}, {3, 4, 4, 2}, {.stride = {2, 2}, .padding = {1, 1}}},
      {{2, 6, 6, 1}, {5, 3, 3, 1}},  // grey images
      {{2, 3, 3, 5}, {4, 1, 1, 5}},  // a product at each pixel
      {{2, 5, 5, 3}, {4, 1, 1, 3}, {.stride = {2, 2}}},
      {{1, 7, 8, 2}, {3, 3, 2, 2}, {.stride = {3, 2}, .padding = {2, 1}, .dilation = {2, 3}}},
      {{1, 7, 7, 2}, {3, 3, 3, 2}, {.padding = {2, 2}, .dilation = {2, 2}}},
      {{1, 6, 6, 2}, {2, 3, 3, 2}, {.stride = {2, 2}}},  // the last row and column are not seen
      {{2, 4, 4, 2}, {3, 4, 4, 2}},                      // one window: the whole image
      {{2, 4, 4, 4}, {6, 3, 3, 2}, {.padding = {1, 1}, .groups = 2}},
      {{1, 5, 5, 6}, {3, 3, 3, 2}, {.stride = {2, 2}, .padding = {1, 1}, .groups = 3}},
      {{2, 4, 4, 3}, {3, 3, 3, 1}, {.padding = {1, 1}, .groups = 3}},  // depthwise
      {{1, 3, 3, 17}, {19, 3, 3, 17}, {.padding = {1, 1}}},
      {{3, 1, 7, 2}, {4, 1, 3, 2}, {.padding = {0, 1}}},     // one dimension
      {{1, 2, 2, 1}, {1, 2, 2, 1}, {.padding = {2, 2}}},     // windows wholly in the padding
      {{2, 6, 6, 32}, {32, 3, 3, 32}, {.padding = {1, 1}}},  // by Winograd's method: one tile
      {{1, 7, 7, 64}, {64, 3, 3, 64}, {.padding = {1, 1}}},  // tiles that stick out
      {{0, 4, 4, 2}, {3, 3, 3, 2}},
  };
}

Samples conv2d_samples() {
  Samples samples;
  bool bias = true;
  for (const Case& c : cases()) {
    samples.push_back({{{c.x}, {c.w}, {.shape = {c.w[0]}, .undefined = !bias}}, c.options});
    bias = !bias;
  }
  return samples;
}
Samples data_gradient_samples() {
  Samples samples;
  for (const Case& c : cases()) {
    const Shape g = result_shape(conv2d_sizes(c.x, c.w, c.options));
    samples.push_back({{{g}, {c.w}}, Conv2dGradient{c.options, c.x}});
  }
  return samples;
}
Samples weight_gradient_samples() {
  Samples samples;
  for (const Case& c : cases()) {
    const Shape g = result_shape(conv2d_sizes(c.x, c.w, c.options));
    samples.push_back({{{c.x}, {g}}, Conv2dGradient{c.options, c.w}});
  }
  return samples;
}

// x: (N, H, W, C), w: (K, R, S, C / groups), b: (K) or undefined
const Op kConv2d{.name = "conv2d",
                 .shape = conv2d_shape,
                 .decompose = conv2d_decompose,
                 .vjp = conv2d_vjp,
                 .samples = conv2d_samples,
                 .keeps = input_bit(0) | input_bit(1)};
// g: (N, H', W', K), w: (K, R, S, C / groups) -> (N, H, W, C)
const Op kDataGradient{.name = "conv2d_data_gradient",
                       .shape = data_gradient_shape,
                       .decompose = data_gradient_decompose,
                       .vjp = data_gradient_vjp,
                       .samples = data_gradient_samples};
// x: (N, H, W, C), g: (N, H', W', K) -> (K, R, S, C / groups)
const Op kWeightGradient{.name = "conv2d_weight_gradient",
                         .shape = weight_gradient_shape,
                         .decompose = weight_gradient_decompose,
                         .vjp = weight_gradient_vjp,
                         .samples = weight_gradient_samples};

// ---- one dimension ------------------------------------------------------------------------------

Conv2dOptions with_height_one(const Conv1dOptions& o) {
  return {.stride = {1, o.stride},
          .padding = {0, o.padding},
          .dilation = {1, o.dilation},
          .groups = o.groups};
}

OutSpecs conv1d_shape(const Call& c) {
  check_float(c, {"x", "w", "b"});
  check_same_dtype(c, {"x", "w", "b"});
  const auto arguments = [&] { return describe_arguments(c, {"x", "w", "b"}); };
  const WindowSizes z = check_convolution("conv1d", arguments, c.in(0).shape(), c.in(1).shape(),
                                          with_height_one(c.as<Conv1dOptions>()), true);
  check_bias(c, arguments);
  return {{{z.batch, z.result_width, z.filters}, c.in(0).dtype()}};
}

Tensors conv1d_decompose(const Call& c) {
  const Tensor y = conv2d(unsqueeze(c.in(0), 1), unsqueeze(c.in(1), 1),
                          c.has(2) ? c.in(2) : Tensor(), with_height_one(c.as<Conv1dOptions>()));
  return {squeeze(y, 1)};
}

Samples conv1d_samples() {
  return {
      {{{{2, 7, 3}}, {{4, 3, 3}}, {{4}}}, Conv1dOptions{}},
      {{{{2, 2, 1}}, {{5, 3, 1}}, {.shape = {5}, .undefined = true}}, Conv1dOptions{.padding = 1}},
      {{{{1, 9, 4}}, {{4, 4, 2}}, {{4}}},
       Conv1dOptions{.stride = 2, .padding = 2, .dilation = 2, .groups = 2}},
  };
}

// x: (N, W, C), w: (K, S, C / groups), b: (K) or undefined. No backend needs a kernel for it.
const Op kConv1d{.name = "conv1d",
                 .shape = conv1d_shape,
                 .decompose = conv1d_decompose,
                 .samples = conv1d_samples};

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options) {
  return apply(kConv2d, {x, w, b}, options);
}

Tensor conv2d_data_gradient(const Tensor& g, const Tensor& w, const Shape& x_shape,
                            const Conv2dOptions& options) {
  return apply(kDataGradient, {g, w}, Conv2dGradient{options, x_shape});
}

Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& g, const Shape& w_shape,
                              const Conv2dOptions& options) {
  return apply(kWeightGradient, {x, g}, Conv2dGradient{options, w_shape});
}

Tensor conv1d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv1dOptions& options) {
  return apply(kConv1d, {x, w, b}, options);
}

OpList convolution_ops() { return {&kConv2d, &kDataGradient, &kWeightGradient, &kConv1d}; }

}  // namespace slope
