// The transpose of a small plane, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace slope::cpu {

// to[column * to_stride + row] = from[row * from_stride + column] for each column and row.
struct TransposeKernels {
  void (*f32)(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t columns,
              int64_t rows);
  void (*f64)(const double* from, int64_t from_stride, double* to, int64_t to_stride,
              int64_t columns, int64_t rows);
};

namespace generic {
extern const TransposeKernels kTranspose;
}
#ifdef SLOPE_X86
namespace avx2 {
extern const TransposeKernels kTranspose;
}
namespace avx512 {
extern const TransposeKernels kTranspose;
}
#endif

}  // namespace slope::cpu
