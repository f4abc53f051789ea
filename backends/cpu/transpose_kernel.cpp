#include "backends/cpu/transpose_kernel.h"

#include "backends/cpu/gemm_simd.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

// Square tiles, a vector wide, are turned in registers. At the edges a tile is partly empty.
template <typename T>
void transpose_plane(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t columns,
                     int64_t rows) {
  constexpr int lanes = Simd<T>::lanes;
  typename Simd<T>::Vector tile[lanes];
  for (int64_t column = 0; column < columns; column += lanes) {
    for (int64_t row = 0; row < rows; row += lanes) {
      const T* in = from + row * from_stride + column;
      T* out = to + column * to_stride + row;
      if (row + lanes <= rows && column + lanes <= columns) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) tile[i] = Simd<T>::load(in + i * from_stride);
        transpose<T>(tile);
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) Simd<T>::store(out + i * to_stride, tile[i]);
        continue;
      }
      const int64_t height = rows - row < lanes ? rows - row : lanes;
      const int64_t width = columns - column < lanes ? columns - column : lanes;
      for (int i = 0; i < lanes; ++i) {
        tile[i] =
            i < height ? Simd<T>::load_first(in + i * from_stride, width) : Simd<T>::broadcast(0);
      }
      transpose<T>(tile);
      for (int i = 0; i < width; ++i) Simd<T>::store_first(out + i * to_stride, tile[i], height);
    }
  }
}

}  // namespace

const TransposeKernels kTranspose{transpose_plane<float>, transpose_plane<double>};

}  // namespace slope::cpu::SLOPE_ISA
