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

// For backends: the sizes of a matmul call (attributes: MatmulOptions). The result is a row of
// matrices (m, n), one for each place of `batch`; at place i, a's matrix begins at sum i *
// a_strides.
struct MatmulSizes {
  int64_t m = 0, n = 0, k = 0;
  Shape batch;                   // leading axes of the result
  Strides a_strides, b_strides;  // of these axes, in values; 0 where an argument is broadcast
};
MatmulSizes matmul_sizes(const Shape& a, const Shape& b, const MatmulOptions& options);

}  // namespace slope
