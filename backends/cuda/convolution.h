// The two routes of a convolution: cuDNN where it takes the shapes (float32), else patches and
// cuBLAS.
#pragma once

#include <memory>

#include "backends/cuda/context.h"
#include "core/ops/window.h"

namespace slope::cuda {

enum class Pass { forward, data_gradient, weight_gradient };

// Arguments of all these kernels: forward x, w, b (null: none) -> y; data_gradient g, w -> dx;
// weight_gradient x, g -> dw. Null when cuDNN refuses the shapes.
std::unique_ptr<Prepared> prepare_by_cudnn(const Context& context, const char* op, Pass pass,
                                           const WindowSizes& sizes, bool biased);

}  // namespace slope::cuda
