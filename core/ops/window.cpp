#include "core/ops/window.h"

#include "core/ops/movement.h"
#include "core/ops/window_taps.h"

namespace slope {
namespace {

int64_t covered(int64_t window, int64_t dilation) { return dilation * (window - 1) + 1; }

int64_t result_length(int64_t length, int64_t window, int64_t stride, int64_t padding,
                      int64_t dilation) {
  return (length + 2 * padding - covered(window, dilation)) / stride + 1;
}

void set_result(WindowSizes* z) {
  z->result_height =
      result_length(z->height, z->window_height, z->stride[0], z->padding[0], z->dilation[0]);
  z->result_width =
      result_length(z->width, z->window_width, z->stride[1], z->padding[1], z->dilation[1]);
}

// "3 x 5", or "5" in one dimension.
std::string extent(int64_t height, int64_t width, bool one_dimensional) {
  return one_dimensional ? concat(width) : concat(height, " x ", width);
}

// "{3, 5}", or "5".
std::string option(const Pair& pair, bool one_dimensional) {
  return one_dimensional ? concat(pair[1]) : concat('{', pair[0], ", ", pair[1], '}');
}

void check_at_least(const char* where, const char* what, const Pair& value, int64_t least,
                    bool one_dimensional) {
  if (value[0] >= least && value[1] >= least) return;
  throw ValueError(concat(where, ": .", what, " = ", option(value, one_dimensional),
                          ", expected at least ", least, "."));
}

}  // namespace

void check_window(const char* where, const Description& arguments, const WindowSizes& z,
                  bool one_dimensional) {
  check_at_least(where, "window", {z.window_height, z.window_width}, 1, one_dimensional);
  check_at_least(where, "stride", z.stride, 1, one_dimensional);
  check_at_least(where, "padding", z.padding, 0, one_dimensional);
  check_at_least(where, "dilation", z.dilation, 1, one_dimensional);
  const int64_t rows = covered(z.window_height, z.dilation[0]);
  const int64_t columns = covered(z.window_width, z.dilation[1]);
  const int64_t height = z.height + 2 * z.padding[0];
  const int64_t width = z.width + 2 * z.padding[1];
  if (rows <= height && columns <= width) return;
  const Pair enough = {std::max(z.padding[0], (rows - z.height + 1) / 2),
                       std::max(z.padding[1], (columns - z.width + 1) / 2)};
  throw ShapeError(concat(where, ": the window does not fit: ", arguments(), "; it covers ",
                          extent(rows, columns, one_dimensional), ", the padded image is ",
                          extent(height, width, one_dimensional), ". Use .padding = ",
                          option(enough, one_dimensional), ", or a larger image."));
}

WindowSizes conv2d_sizes(const Shape& x, const Shape& w, const Conv2dOptions& options) {
  WindowSizes z{.batch = x[0],
                .height = x[1],
                .width = x[2],
                .channels = x[3],
                .window_height = w[1],
                .window_width = w[2],
                .filters = w[0],
                .stride = options.stride,
                .padding = options.padding,
                .dilation = options.dilation,
                .groups = options.groups};
  if (z.stride[0] > 0 && z.stride[1] > 0) set_result(&z);
  return z;
}

WindowSizes pool_sizes(const Shape& x, const PoolOptions& options) {
  WindowSizes z{.batch = x[0],
                .height = x[1],
                .width = x[2],
                .channels = x[3],
                .window_height = options.window[0],
                .window_width = options.window[1],
                .filters = x[3],
                .stride = options.stride,
                .padding = options.padding};
  if (z.stride[0] > 0 && z.stride[1] > 0) set_result(&z);
  return z;
}

Tensor pad_image(const Tensor& x, const WindowSizes& z, double value) {
  if (z.padding == Pair{0, 0}) return x;
  const Shape amount = {0, z.padding[0], z.padding[1], 0};
  return pad(x, amount, amount, value);
}

Tensor crop_image(const Tensor& padded, const WindowSizes& z) {
  return slice(slice(padded, 1, z.padding[0], z.padding[0] + z.height), 2, z.padding[1],
               z.padding[1] + z.width);
}

Tensor tap_pixels(const Tensor& padded, const WindowSizes& z, int64_t r, int64_t s) {
  const int64_t top = r * z.dilation[0];
  const int64_t left = s * z.dilation[1];
  const Tensor rows =
      slice(padded, 1, top, top + (z.result_height - 1) * z.stride[0] + 1, z.stride[0]);
  return slice(rows, 2, left, left + (z.result_width - 1) * z.stride[1] + 1, z.stride[1]);
}

Tensor spread_tap(const Tensor& values, const WindowSizes& z, int64_t r, int64_t s) {
  // stride - 1 zeros after each value, those after the last cut off again ..
  const int64_t channels = values.shape()[3];
  const int64_t h = z.result_height, w = z.result_width;
  Tensor spread = values;
  if (z.stride != Pair{1, 1}) {
    spread = pad(values.reshape({z.batch, h, 1, w, 1, channels}), Shape::filled(6, 0),
                 {0, 0, z.stride[0] - 1, 0, z.stride[1] - 1, 0});
    spread = spread.reshape({z.batch, h * z.stride[0], w * z.stride[1], channels});
    spread = slice(slice(spread, 1, 0, (h - 1) * z.stride[0] + 1), 2, 0, (w - 1) * z.stride[1] + 1);
  }
  // .. and zeros around them.
  const int64_t top = r * z.dilation[0];
  const int64_t left = s * z.dilation[1];
  return pad(spread, {0, top, left, 0},
             {0, z.height + 2 * z.padding[0] - top - spread.shape()[1],
              z.width + 2 * z.padding[1] - left - spread.shape()[2], 0});
}

OpList window_ops() {
  OpList all = convolution_ops();
  for (const Op* op : pooling_ops()) all.push_back(op);
  return all;
}

}  // namespace slope
