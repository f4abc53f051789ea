// Matrix products by cuBLAS, for matrices in row-major order.
#pragma once

#include "backends/cuda/context.h"

namespace slope::cuda {

// c: (m, n) = a: (m, k) times b: (k, n) + beta c, `count` times. Leading sizes and steps between
// matrices are in values; a and b may be stored transposed. True float32 (no TF32), and the same
// bits on every run.
struct Gemm {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t lead_a = 0, lead_b = 0, lead_c = 0;
  int64_t count = 1;
  int64_t step_a = 0, step_b = 0, step_c = 0;
  double beta = 0;
};
template <typename T>
void run(const Context& context, const char* op, const Gemm& g, const T* a, const T* b, T* c);

// y: (rows, columns) = bias: (columns), over and over
template <typename T>
void fill_rows(const Launcher& at, const T* bias, T* y, int64_t rows, int64_t columns);

}  // namespace slope::cuda
