// Convolution and pooling. Images are NHWC, weights (K, R, S, C / groups).
#pragma once

#include <array>

#include "core/tensor.h"

namespace slope {

using Pair = std::array<int64_t, 2>;  // height, width

struct Conv2dOptions {
  Pair stride = {1, 1};
  Pair padding = {0, 0};  // zeros on both sides
  Pair dilation = {1, 1};
  int64_t groups = 1;
};
// x: (N, H, W, C), w: (K, R, S, C / groups), b: (K) or undefined -> (N, H', W', K)
// with H' = (H + 2 padding - dilation (R - 1) - 1) / stride + 1, rounded down.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b = {},
              const Conv2dOptions& options = {});
// The gradients of conv2d, ops of their own. g: (N, H', W', K).
Tensor conv2d_data_gradient(const Tensor& g, const Tensor& w, const Shape& x_shape,
                            const Conv2dOptions& options = {});
Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& g, const Shape& w_shape,
                              const Conv2dOptions& options = {});

struct Conv1dOptions {
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
};
// x: (N, W, C), w: (K, S, C / groups), b: (K) or undefined -> (N, W', K). Runs as conv2d with
// height 1.
Tensor conv1d(const Tensor& x, const Tensor& w, const Tensor& b = {},
              const Conv1dOptions& options = {});

struct PoolOptions {
  Pair window = {2, 2};
  Pair stride = {2, 2};
  Pair padding = {0, 0};  // less than the window
};
// x: (N, H, W, C) -> (N, H', W', C). Padding never wins a maximum, and counts as zeros in an
// average (divided by the full window, as in PyTorch). The first of equal maxima gets the gradient;
// NaN wins.
Tensor max_pool2d(const Tensor& x, const PoolOptions& options = {});
Tensor average_pool2d(const Tensor& x, const PoolOptions& options = {});
// x: (N, H, W, C) -> (N, C): the mean over H and W.
Tensor global_average_pool(const Tensor& x);

// For backends. Every op of this family slides a window over an image: place (i, j) of the result
// sees, at tap (r, s), pixel (i * stride - padding + r * dilation, likewise j), or padding.
struct WindowSizes {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // image: (N, H, W, C)
  int64_t window_height = 0, window_width = 0;
  int64_t result_height = 0, result_width = 0;
  int64_t filters = 0;  // K of a convolution; result: (N, H', W', K), of a pool (N, H', W', C)
  Pair stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  int64_t groups = 1;
};
WindowSizes conv2d_sizes(const Shape& x, const Shape& w, const Conv2dOptions& options);
WindowSizes pool_sizes(const Shape& x, const PoolOptions& options);

// Attributes: conv2d has Conv2dOptions, its two gradients this, with the shape of their result.
struct Conv2dGradient {
  Conv2dOptions options;
  Shape shape;
};
// max_pool2d and average_pool2d have PoolOptions; the ops below this, with the image's shape.
//   max_pool2d(x) -> y and a hidden output, taps: int32, like y, the number r * S + s of the tap
//   that won max_pool2d_gradient(g, taps) -> (N, H, W, C): each g added to the pixel that won
//   max_pool2d_pick(u, taps) -> like taps: the value of u: (N, H, W, C) at the pixel that won. The
//     two are each other's gradient. A tap in the padding has no pixel: nothing is added, 0 is
//     picked.
//   average_pool2d_gradient(g) -> (N, H, W, C)
struct PoolGradient {
  PoolOptions options;
  Shape shape;
};

}  // namespace slope
