// The pieces that the decompositions of convolution and pooling are made of: what one tap of a
// window sees.
#pragma once

#include <functional>
#include <string>

#include "core/op.h"
#include "core/ops/registry.h"
#include "core/ops/window.h"

namespace slope {

// The pixels that tap (r, s) sees, one for each place of the result.
// padded: (N, H + 2 padding, W + 2 padding, C) -> (N, H', W', C)
Tensor tap_pixels(const Tensor& padded, const WindowSizes& sizes, int64_t r, int64_t s);
// The adjoint: values put back at the pixels that tap (r, s) saw, zeros elsewhere.
// values: (N, H', W', C) -> (N, H + 2 padding, W + 2 padding, C)
Tensor spread_tap(const Tensor& values, const WindowSizes& sizes, int64_t r, int64_t s);

// x: (N, H, W, C) -> (N, H + 2 padding, W + 2 padding, C), and the way back.
Tensor pad_image(const Tensor& x, const WindowSizes& sizes, double value = 0);
Tensor crop_image(const Tensor& padded, const WindowSizes& sizes);

// The arguments of a call as a message shows them; written only when there is a message.
using Description = std::function<std::string()>;

// Checks the numbers of a window and that it fits the padded image; `arguments` is for the message.
void check_window(const char* where, const Description& arguments, const WindowSizes& sizes,
                  bool one_dimensional = false);

// The two halves of window_ops().
OpList convolution_ops();
OpList pooling_ops();

}  // namespace slope
