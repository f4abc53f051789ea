// Between gemm.cpp, which divides a matrix product among threads, and gemm_kernel.cpp, which
// computes one block of it and exists once per instruction set.
#pragma once

#include <cstdint>

#include "backends/cpu/isa.h"

namespace slope::cpu {

// The problem as the kernel sees it: C (rows, columns) = X (rows, depth) Y (depth, columns). Each
// value of X is broadcast against a vector of Y, so columns should be many and rows may be few: X
// is A and Y is B, or the other way round with C transposed. All distances are in elements.
template <typename T>
struct GemmOperands {
  int64_t rows = 0, columns = 0, depth = 0;
  const T* x = nullptr;
  int64_t x_row = 0, x_depth = 0;
  const T* y = nullptr;
  int64_t y_depth = 0, y_column = 0;
  bool y_packed = false;  // y is what pack() wrote
  T* c = nullptr;
  int64_t c_row = 0, c_column = 0;  // one of them is 1
  const T* bias = nullptr;
  int64_t bias_row = 0, bias_column = 0;  // one of them is 1, the other 0
  bool accumulate = false;
};

// Y packed: strips of `strip` columns, the last one of strip / 2 if that is enough, each
// depth-major: (depth, width), filled up with zeros.
template <typename T>
struct GemmKernels {
  int lanes = 0;      // of one vector
  int tile_rows = 0;  // rows that are computed together
  int strip = 0;      // columns that are computed together: two vectors

  // The columns in memory of a packed Y of this many columns.
  int64_t packed_columns(int64_t columns) const { return (columns + lanes - 1) / lanes * lanes; }

  // Computes rows [row_begin, row_end) x columns [column_begin, column_end) of C over the whole
  // depth. column_begin is a multiple of `strip`.
  void (*block)(const GemmOperands<T>&, int64_t row_begin, int64_t row_end, int64_t column_begin,
                int64_t column_end) = nullptr;
  // Packs the strip that begins at column_begin; `packed` is the start of the whole.
  void (*pack)(const GemmOperands<T>&, int64_t column_begin, T* packed) = nullptr;
};

// The kernels of an instruction set that this machine has, and those in use: of isa().
template <typename T>
const GemmKernels<T>& gemm_kernels(Isa isa);
template <typename T>
const GemmKernels<T>& gemm_kernels();

#define SLOPE_DECLARE_GEMM_KERNELS(set)         \
  namespace set {                               \
  extern const GemmKernels<float> kGemmFloat;   \
  extern const GemmKernels<double> kGemmDouble; \
  }
SLOPE_DECLARE_GEMM_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_GEMM_KERNELS(avx2)
SLOPE_DECLARE_GEMM_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_GEMM_KERNELS

}  // namespace slope::cpu
