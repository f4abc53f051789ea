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
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b = {}, const Conv2dOptions& options = {});
// The gradients of conv2d, ops of their own. g: (N, H', W', K).
Tensor conv2d_data_gradient(const Tensor& g, const Tensor& w, const Shape& x_shape, const Conv2dOptions& options = {});
Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& g, const Shape& w_shape, const Conv2dOptions& options = {});

struct Conv1dOptions {
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
  int64_t groups = 1;
};
// x: (N, W, C), w: (K, S, C / groups), b: (K) or undefined -> (N, W', K). Runs as conv2d with height 1.
Tensor conv1d(const Tensor& x, const Tensor& w, const Tensor& b = {}, const Conv1dOptions& options = {});

struct PoolOptions {
  Pair window = {2, 2};
  Pair stride = {2, 2};
  Pair padding = {0, 0};
};
// x: (N, H, W, C) -> (N, H', W', C). Padding never wins a maximum, and counts as zeros in an average
// (divided by the full window, as in PyTorch).
Tensor max_pool2d(const Tensor& x, const PoolOptions& options = {});
Tensor average_pool2d(const Tensor& x, const PoolOptions& options = {});
// x: (N, H, W, C) -> (N, C): the mean over H and W.
Tensor global_average_pool(const Tensor& x);

}  // namespace slope
