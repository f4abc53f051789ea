// Windows sliding over images, as kernels see them.
#pragma once

#include "backends/cuda/api.h"
#include "core/ops/window.h"

namespace slope::cuda {

// WindowSizes as plain numbers. Image: (N, H, W, C), result: (N, H', W', ..).
struct Window {
  int64_t height, width, window_height, window_width, result_height, result_width;
  int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;

  explicit Window(const WindowSizes& z)
      : height(z.height),
        width(z.width),
        window_height(z.window_height),
        window_width(z.window_width),
        result_height(z.result_height),
        result_width(z.result_width),
        stride_y(z.stride[0]),
        stride_x(z.stride[1]),
        padding_y(z.padding[0]),
        padding_x(z.padding[1]),
        dilation_y(z.dilation[0]),
        dilation_x(z.dilation[1]) {}

#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)
  // The pixel (row * width + column) that tap (r, s) sees from place (i, j), or -1 in the padding.
  SLOPE_DEVICE int64_t pixel(int64_t i, int64_t j, int64_t r, int64_t s) const {
    const int64_t row = i * stride_y - padding_y + r * dilation_y;
    const int64_t column = j * stride_x - padding_x + s * dilation_x;
    return row < 0 || row >= height || column < 0 || column >= width ? -1 : row * width + column;
  }
  // The place (i * result_width + j) from which tap (r, s) sees pixel (row, column), or -1.
  SLOPE_DEVICE int64_t place(int64_t row, int64_t column, int64_t r, int64_t s) const {
    const int64_t y = row + padding_y - r * dilation_y, x = column + padding_x - s * dilation_x;
    if (y < 0 || x < 0) return -1;
    const int64_t i = y / stride_y, j = x / stride_x;
    const bool none =
        i * stride_y != y || j * stride_x != x || i >= result_height || j >= result_width;
    return none ? -1 : i * result_width + j;
  }
#endif
};

#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)

// Coordinates of value number `flat` of a contiguous tensor (n, height, width, channels).
struct Coordinates {
  int64_t n, row, column, channel;
  SLOPE_DEVICE Coordinates(int64_t flat, int64_t height, int64_t width, int64_t channels) {
    const uint32_t h = static_cast<uint32_t>(height), w = static_cast<uint32_t>(width);
    uint32_t rest = static_cast<uint32_t>(flat);
    channel = rest % static_cast<uint32_t>(channels);
    rest /= static_cast<uint32_t>(channels);
    column = rest % w;
    rest /= w;
    row = rest % h;
    n = rest / h;
  }
};

#endif

}  // namespace slope::cuda
