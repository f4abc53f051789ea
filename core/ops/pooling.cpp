// Pooling. Each gradient is an op of its own whose gradient is an op again.
#include <limits>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/window.h"
#include "core/ops/window_taps.h"

namespace slope {
namespace {

// ---- checks -------------------------------------------------------------------------------------

void check_image(const char* where, const char* name, const Description& arguments,
                 const Shape& x) {
  if (x.rank() == 4) return;
  throw ShapeError(concat(where, ": ", arguments(), "; ", name, " has ", x.rank(),
                          " axes, expected 4: (N, H, W, C).",
                          x.rank() == 3 ? concat(" For one image write ", name, ".reshape({1, ",
                                                 x[0], ", ", x[1], ", ", x[2], "}).")
                                        : ""));
}

WindowSizes check_pool(const char* where, const char* name, const Description& arguments,
                       const Shape& x, const PoolOptions& options) {
  check_image(where, name, arguments, x);
  const WindowSizes z = pool_sizes(x, options);
  check_window(where, arguments, z);
  if (z.padding[0] >= z.window_height || z.padding[1] >= z.window_width) {
    throw ValueError(concat(where, ": .padding = {", z.padding[0], ", ", z.padding[1],
                            "}, expected less than the window, {", z.window_height, ", ",
                            z.window_width, "}: some windows would see no pixel."));
  }
  return z;
}

Shape result_shape(const WindowSizes& z) {
  return {z.batch, z.result_height, z.result_width, z.channels};
}

void check_result(const Call& c, const Description& arguments, const char* name, const Tensor& x,
                  const WindowSizes& z) {
  if (x.shape() == result_shape(z)) return;
  throw ShapeError(concat(c.op.name, ": the result has another shape: ", arguments(), "; expected ",
                          name, ' ', result_shape(z), ", the shape of the pool's result."));
}

void check_taps(const Call& c, const Description& arguments) {
  if (c.in(1).dtype() == Dtype::i32) return;
  throw DtypeError(concat(c.op.name, ": ", arguments(),
                          "; taps must be int32: the second output of max_pool2d."));
}

// ---- maximum ------------------------------------------------------------------------------------

OutSpecs max_pool2d_shape(const Call& c) {
  check_float(c, {"x"});
  const auto arguments = [&] { return describe_arguments(c, {"x"}); };
  const WindowSizes z = check_pool(c.op.name, "x", arguments, c.in(0).shape(), c.as<PoolOptions>());
  return {{result_shape(z), c.in(0).dtype()}, {result_shape(z), Dtype::i32}};
}

Tensors max_pool2d_decompose(const Call& c) {
  const WindowSizes z = pool_sizes(c.in(0).shape(), c.as<PoolOptions>());
  const Tensor padded = pad_image(c.in(0), z, -std::numeric_limits<double>::infinity());
  Tensor y;
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) {
      const Tensor pixels = tap_pixels(padded, z, r, s);
      y = y.defined() ? maximum(y, pixels) : contiguous(pixels);
    }
  }
  return {y};
}

Tensor max_pool2d_gradient(const Tensor& g, const Tensor& taps, const PoolGradient& attributes);
Tensor max_pool2d_pick(const Tensor& u, const Tensor& taps, const PoolOptions& options);

Tensors max_pool2d_vjp(const Vjp& v) {
  return {max_pool2d_gradient(v.g(), v.out(1), {v.as<PoolOptions>(), v.in(0).shape()})};
}

OutSpecs max_pool2d_gradient_shape(const Call& c) {
  check_float(c, {"g", "taps"}, 0, 0);
  const PoolOptions& options = c.as<PoolGradient>().options;
  const Shape& shape = c.as<PoolGradient>().shape;
  const auto arguments = [&] {
    return concat(describe_arguments(c, {"g", "taps"}), ", x_shape ", shape);
  };
  check_taps(c, arguments);
  const WindowSizes z = check_pool(c.op.name, "x_shape", arguments, shape, options);
  check_result(c, arguments, "g", c.in(0), z);
  check_result(c, arguments, "taps", c.in(1), z);
  return {{shape, c.in(0).dtype()}};
}

OutSpecs max_pool2d_pick_shape(const Call& c) {
  check_float(c, {"u", "taps"}, 0, 0);
  const auto arguments = [&] { return describe_arguments(c, {"u", "taps"}); };
  check_taps(c, arguments);
  const WindowSizes z = check_pool(c.op.name, "u", arguments, c.in(0).shape(), c.as<PoolOptions>());
  check_result(c, arguments, "taps", c.in(1), z);
  return {{result_shape(z), c.in(0).dtype()}};
}

// 1 where the winner is tap number `tap`, in the dtype of the values it will choose.
Tensor won_by(const Tensor& taps, int64_t tap, Dtype dtype) {
  return equal(cast(taps, dtype), scalar(static_cast<double>(tap), dtype, taps.device()));
}

Tensors max_pool2d_gradient_decompose(const Call& c) {
  const auto& [options, shape] = c.as<PoolGradient>();
  const WindowSizes z = pool_sizes(shape, options);
  const Tensor& g = c.in(0);
  Tensor padded;
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) {
      const Tensor chosen = select(won_by(c.in(1), r * z.window_width + s, g.dtype()), g, 0);
      const Tensor spread = spread_tap(chosen, z, r, s);
      padded = padded.defined() ? padded + spread : spread;
    }
  }
  return {contiguous(crop_image(padded, z))};
}

Tensors max_pool2d_pick_decompose(const Call& c) {
  const Tensor& u = c.in(0);
  const WindowSizes z = pool_sizes(u.shape(), c.as<PoolOptions>());
  const Tensor padded = pad_image(u, z);
  Tensor picked = zeros(c.in(1).shape(), u.dtype(), u.device());
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) {
      picked = select(won_by(c.in(1), r * z.window_width + s, u.dtype()),
                      tap_pixels(padded, z, r, s), picked);
    }
  }
  return {picked};
}

Tensors max_pool2d_gradient_vjp(const Vjp& v) {
  return {max_pool2d_pick(v.g(), v.in(1), v.as<PoolGradient>().options), {}};
}
Tensors max_pool2d_pick_vjp(const Vjp& v) {
  return {max_pool2d_gradient(v.g(), v.in(1), {v.as<PoolOptions>(), v.in(0).shape()}), {}};
}

// Shapes that every record is tested on.
struct Case {
  Shape x;
  PoolOptions options = {};
};
std::vector<Case> cases() {
  return {
      {{2, 4, 6, 3}},
      {{1, 5, 5, 2}, {.window = {3, 3}, .stride = {1, 1}}},  // windows overlap
      {{1, 5, 5, 2}, {.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
      {{1, 5, 6, 2}, {.window = {2, 3}, .stride = {1, 2}, .padding = {1, 0}}},
      {{1, 5, 5, 17}},                                       // last row and column are not seen
      {{2, 3, 3, 1}, {.window = {3, 3}, .stride = {1, 1}}},  // the whole image
      {{1, 2, 3, 4}, {.window = {1, 1}, .stride = {1, 1}}},
      {{1, 5, 5, 2}, {.window = {1, 2}, .stride = {3, 3}}},  // pixels between windows are not seen
      {{0, 4, 4, 2}},
  };
}

SampleInput taps_input(const Shape& shape, const PoolOptions& options) {
  return {.shape = shape,
          .low = 0,
          .high = static_cast<double>(options.window[0] * options.window[1] - 1),
          .integer = true};
}

Samples pool_samples() {
  Samples samples;
  for (const Case& c : cases()) samples.push_back({{{c.x}}, c.options});
  return samples;
}
Samples max_pool2d_gradient_samples() {
  Samples samples;
  for (const Case& c : cases()) {
    const Shape result = result_shape(pool_sizes(c.x, c.options));
    samples.push_back({{{result}, taps_input(result, c.options)}, PoolGradient{c.options, c.x}});
  }
  return samples;
}
Samples max_pool2d_pick_samples() {
  Samples samples;
  for (const Case& c : cases()) {
    const Shape result = result_shape(pool_sizes(c.x, c.options));
    samples.push_back({{{c.x}, taps_input(result, c.options)}, c.options});
  }
  return samples;
}
Samples average_pool2d_gradient_samples() {
  Samples samples;
  for (const Case& c : cases()) {
    samples.push_back({{{result_shape(pool_sizes(c.x, c.options))}}, PoolGradient{c.options, c.x}});
  }
  return samples;
}

// x: (N, H, W, C) -> y and taps: (N, H', W', C)
const Op kMaxPool2d{.name = "max_pool2d",
                    .shape = max_pool2d_shape,
                    .visible = 1,
                    .decompose = max_pool2d_decompose,
                    .vjp = max_pool2d_vjp,
                    .samples = pool_samples,
                    .keeps = kOutput << 1};
// g, taps: (N, H', W', C) -> (N, H, W, C)
const Op kMaxPool2dGradient{.name = "max_pool2d_gradient",
                            .shape = max_pool2d_gradient_shape,
                            .decompose = max_pool2d_gradient_decompose,
                            .vjp = max_pool2d_gradient_vjp,
                            .samples = max_pool2d_gradient_samples,
                            .keeps = input_bit(1)};
// u: (N, H, W, C), taps: (N, H', W', C) -> (N, H', W', C)
const Op kMaxPool2dPick{.name = "max_pool2d_pick",
                        .shape = max_pool2d_pick_shape,
                        .decompose = max_pool2d_pick_decompose,
                        .vjp = max_pool2d_pick_vjp,
                        .samples = max_pool2d_pick_samples,
                        .keeps = input_bit(1)};

Tensor max_pool2d_gradient(const Tensor& g, const Tensor& taps, const PoolGradient& attributes) {
  return apply(kMaxPool2dGradient, {g, taps}, attributes);
}
Tensor max_pool2d_pick(const Tensor& u, const Tensor& taps, const PoolOptions& options) {
  return apply(kMaxPool2dPick, {u, taps}, options);
}

// ---- average ------------------------------------------------------------------------------------

OutSpecs average_pool2d_shape(const Call& c) {
  check_float(c, {"x"});
  const auto arguments = [&] { return describe_arguments(c, {"x"}); };
  const WindowSizes z = check_pool(c.op.name, "x", arguments, c.in(0).shape(), c.as<PoolOptions>());
  return {{result_shape(z), c.in(0).dtype()}};
}

OutSpecs average_pool2d_gradient_shape(const Call& c) {
  check_float(c, {"g"});
  const PoolOptions& options = c.as<PoolGradient>().options;
  const Shape& shape = c.as<PoolGradient>().shape;
  const auto arguments = [&] { return concat(describe_arguments(c, {"g"}), ", x_shape ", shape); };
  const WindowSizes z = check_pool(c.op.name, "x_shape", arguments, shape, options);
  check_result(c, arguments, "g", c.in(0), z);
  return {{shape, c.in(0).dtype()}};
}

Tensors average_pool2d_decompose(const Call& c) {
  const WindowSizes z = pool_sizes(c.in(0).shape(), c.as<PoolOptions>());
  const Tensor padded = pad_image(c.in(0), z);
  Tensor y;
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) {
      const Tensor pixels = tap_pixels(padded, z, r, s);
      y = y.defined() ? y + pixels : pixels;
    }
  }
  return {y / static_cast<double>(z.window_height * z.window_width)};
}

Tensors average_pool2d_gradient_decompose(const Call& c) {
  const auto& [options, shape] = c.as<PoolGradient>();
  const WindowSizes z = pool_sizes(shape, options);
  const Tensor share = c.in(0) / static_cast<double>(z.window_height * z.window_width);
  Tensor padded;
  for (int64_t r = 0; r < z.window_height; ++r) {
    for (int64_t s = 0; s < z.window_width; ++s) {
      const Tensor spread = spread_tap(share, z, r, s);
      padded = padded.defined() ? padded + spread : spread;
    }
  }
  return {contiguous(crop_image(padded, z))};
}

Tensor average_pool2d_gradient(const Tensor& g, const PoolGradient& attributes);

Tensors average_pool2d_vjp(const Vjp& v) {
  return {average_pool2d_gradient(v.g(), {v.as<PoolOptions>(), v.in(0).shape()})};
}
Tensors average_pool2d_gradient_vjp(const Vjp& v) {
  return {average_pool2d(v.g(), v.as<PoolGradient>().options)};
}

// x: (N, H, W, C) -> (N, H', W', C)
const Op kAveragePool2d{.name = "average_pool2d",
                        .shape = average_pool2d_shape,
                        .decompose = average_pool2d_decompose,
                        .vjp = average_pool2d_vjp,
                        .samples = pool_samples,
                        .keeps = kNothing};
// g: (N, H', W', C) -> (N, H, W, C)
const Op kAveragePool2dGradient{.name = "average_pool2d_gradient",
                                .shape = average_pool2d_gradient_shape,
                                .decompose = average_pool2d_gradient_decompose,
                                .vjp = average_pool2d_gradient_vjp,
                                .samples = average_pool2d_gradient_samples,
                                .keeps = kNothing};

Tensor average_pool2d_gradient(const Tensor& g, const PoolGradient& attributes) {
  return apply(kAveragePool2dGradient, {g}, attributes);
}

// ---- over the whole image -----------------------------------------------------------------------

OutSpecs global_average_pool_shape(const Call& c) {
  check_float(c, {"x"});
  const Shape& x = c.in(0).shape();
  const auto arguments = [&] { return describe_arguments(c, {"x"}); };
  check_image(c.op.name, "x", arguments, x);
  if (x[1] * x[2] == 0) {
    throw ShapeError(concat(c.op.name, ": ", arguments(),
                            " has no pixels to take the mean of; H and W must be at least 1."));
  }
  return {{{x[0], x[3]}, c.in(0).dtype()}};
}

Samples global_average_pool_samples() {
  return {{{{{2, 3, 3, 4}}}, {}},
          {{{{3, 2, 5, 1}}}, {}},
          {{{{2, 1, 1, 3}}}, {}},
          {{{{0, 2, 2, 3}}}, {}}};
}

// x: (N, H, W, C) -> (N, C). A mean by another name: no backend needs a kernel for it.
const Op kGlobalAveragePool{.name = "global_average_pool",
                            .shape = global_average_pool_shape,
                            .decompose =
                                [](const Call& c) {
                                  return Tensors{mean(c.in(0), {1, 2})};
                                },
                            .samples = global_average_pool_samples,
                            .keeps = kNothing};

}  // namespace

Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  return apply(kMaxPool2d, {x}, options);
}

Tensor average_pool2d(const Tensor& x, const PoolOptions& options) {
  return apply(kAveragePool2d, {x}, options);
}

Tensor global_average_pool(const Tensor& x) { return apply(kGlobalAveragePool, {x}); }

OpList pooling_ops() {
  return {&kMaxPool2d,     &kMaxPool2dGradient,     &kMaxPool2dPick,
          &kAveragePool2d, &kAveragePool2dGradient, &kGlobalAveragePool};
}

}  // namespace slope
