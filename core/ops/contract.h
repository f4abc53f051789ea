// Matrix products.
#pragma once

#include "core/tensor.h"

namespace slope {

struct MatmulOptions {
  bool transpose_a = false;  // a is stored (.., k, m)
  bool transpose_b = false;  // b is stored (.., n, k)
};
// a: (.., m, k), b: (.., k, n) -> (.., m, n). Leading axes broadcast. A transpose never copies.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulOptions& options = {});

// x: (.., in), w: (out, in), b: (out) or undefined -> (.., out): x w^T + b.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b = {});

}  // namespace slope
