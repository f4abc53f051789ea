#include "backends/cpu/gemm.h"

#include <algorithm>

#include "backends/cpu/gemm_kernel.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {
namespace {

// Rows broadcast, columns in vectors: X = A, Y = B.
template <typename T>
GemmOperands<T> plain_operands(const GemmShape& s, const T* a, const T* b, const T* bias, T* c) {
  const int64_t lda = s.lda ? s.lda : s.transpose_a ? s.m : s.k;
  const int64_t ldb = s.ldb ? s.ldb : s.transpose_b ? s.k : s.n;
  GemmOperands<T> o;
  o.rows = s.m, o.columns = s.n, o.depth = s.k;
  o.x = a, o.x_row = s.transpose_a ? 1 : lda, o.x_depth = s.transpose_a ? lda : 1;
  o.y = b, o.y_depth = s.transpose_b ? 1 : ldb, o.y_column = s.transpose_b ? ldb : 1;
  o.c = c, o.c_row = s.ldc ? s.ldc : s.n, o.c_column = 1;
  o.bias = s.accumulate ? nullptr : bias, o.bias_column = 1;
  o.accumulate = s.accumulate;
  return o;
}

// The same product as C' = B' A'. y must not be packed; x may be a packed B of one strip.
template <typename T>
GemmOperands<T> swapped(const GemmOperands<T>& o) {
  GemmOperands<T> s = o;
  s.rows = o.columns, s.columns = o.rows;
  s.x = o.y, s.x_row = o.y_column, s.x_depth = o.y_depth;
  s.y = o.x, s.y_depth = o.x_depth, s.y_column = o.x_row;
  s.c_row = o.c_column, s.c_column = o.c_row;
  s.bias_row = o.bias_column, s.bias_column = o.bias_row;
  s.y_packed = false;
  return s;
}

// Few columns leave most lanes of a vector idle; then the rows are laid into the vectors instead.
// Compares rough counts of cycles: one per vector of products, a quarter per value that has to be
// transposed into a vector, and one per value of C that goes to its place alone.
template <typename T>
bool swap_pays(const GemmOperands<T>& o, int64_t lanes) {
  if (o.columns >= lanes || o.rows <= o.columns) return false;
  const auto transposing = [&](int64_t values) { return values * o.depth / 4; };
  const int64_t plain =
      o.rows * o.depth + (o.y_packed || o.y_column == 1 ? 0 : transposing(o.columns));
  const int64_t swapped = o.columns * o.depth * ((o.rows + lanes - 1) / lanes) +
                          (o.x_row == 1 ? 0 : transposing(o.rows)) + o.rows * o.columns;
  return swapped < plain;
}

// How a product is cut into tasks: a grid of nearly equal blocks, fixed by the sizes alone.
struct Grid {
  int64_t row_blocks = 1, column_blocks = 1;
};

template <typename T>
Grid grid(const GemmOperands<T>& o, double nanoseconds, const GemmKernels<T>& kernels) {
  constexpr double kTaskNanoseconds = 4000;
  constexpr int64_t kMostTasks = 64;
  const int64_t strips = (o.columns + kernels.strip - 1) / kernels.strip;
  Grid g;
  // Halves the blocks while there are fewer than `tasks` of them and they keep this size.
  const auto divide = [&](int64_t tasks, int64_t least_rows, int64_t least_strips) {
    const auto room = [&] {
      const int64_t twice = 2 * g.row_blocks * g.column_blocks;
      return twice <= tasks && static_cast<double>(twice) * kTaskNanoseconds <= nanoseconds;
    };
    while (room() && g.column_blocks * 2 * least_strips <= strips) g.column_blocks *= 2;
    while (room() && g.row_blocks * 2 * least_rows <= o.rows) g.row_blocks *= 2;
  };
  // Each block packs its own part of Y, which costs little beside the products of 320 rows. With
  // few blocks an even load counts for more.
  divide(kMostTasks, o.y_packed ? kernels.tile_rows : 320, 4);
  divide(8, 48, 4);
  divide(8, 48, 1);
  return g;
}

template <typename T>
void run_block(const GemmKernels<T>& kernels, const GemmOperands<T>& o, const Grid& g,
               int64_t block) {
  const int64_t strips = (o.columns + kernels.strip - 1) / kernels.strip;
  const int64_t i = block / g.column_blocks, j = block % g.column_blocks;
  kernels.block(o, o.rows * i / g.row_blocks, o.rows * (i + 1) / g.row_blocks,
                strips * j / g.column_blocks * kernels.strip,
                std::min(o.columns, strips * (j + 1) / g.column_blocks * kernels.strip));
}

// C = start, for products of depth 0.
template <typename T>
void multiply_nothing(const GemmOperands<T>& o) {
  if (o.accumulate) return;
  for (int64_t i = 0; i < o.rows; ++i) {
    for (int64_t j = 0; j < o.columns; ++j) o.c[i * o.c_row + j] = o.bias ? o.bias[j] : T(0);
  }
}

template <typename T>
void multiply(const GemmShape& s, GemmOperands<T> first, bool serial) {
  if (s.m == 0 || s.n == 0 || s.batch == 0) return;
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const auto item = [&](int64_t index) {
    GemmOperands<T> o = first;
    o.x += index * s.stride_a, o.y += index * s.stride_b, o.c += index * s.stride_c;
    return o;
  };
  if (s.k == 0) {
    for (int64_t index = 0; index < s.batch; ++index) multiply_nothing(item(index));
    return;
  }
  const bool swap = swap_pays(first, kernels.lanes);
  const auto arranged = [&](int64_t index) { return swap ? swapped(item(index)) : item(index); };
  const double nanoseconds = nanoseconds_for_multiply_adds(
      static_cast<double>(s.batch) * static_cast<double>(s.m) * static_cast<double>(s.n) *
      static_cast<double>(s.k) * (sizeof(T) / sizeof(float)));
  const GemmOperands<T> sample = arranged(0);
  if (serial || nanoseconds < kWorthThreads) {
    for (int64_t index = 0; index < s.batch; ++index) {
      const GemmOperands<T> o = index == 0 ? sample : arranged(index);
      kernels.block(o, 0, o.rows, 0, o.columns);
    }
    return;
  }
  const Grid g = grid(sample, nanoseconds / static_cast<double>(s.batch), kernels);
  const int64_t blocks = g.row_blocks * g.column_blocks;
  parallel_for(s.batch * blocks, nanoseconds, [&](int64_t task) {
    run_block(kernels, arranged(task / blocks), g, task % blocks);
  });
}

template <typename T>
GemmOperands<T> packed_operands(const GemmShape& s, const T* a, const void* packed, const T* bias,
                                T* c) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  GemmOperands<T> o = plain_operands<T>(s, a, static_cast<const T*>(packed), bias, c);
  o.y_packed = true;
  // Within the one strip that a swapped product has:
  o.y_column = 1;
  o.y_depth = s.n <= kernels.lanes ? kernels.lanes : kernels.strip;
  return o;
}

}  // namespace

template <>
const GemmKernels<float>& gemm_kernels(Isa isa) {
#ifdef SLOPE_X86
  if (isa == Isa::avx512) return avx512::kGemmFloat;
  if (isa == Isa::avx2) return avx2::kGemmFloat;
#endif
  return generic::kGemmFloat;
}

template <>
const GemmKernels<double>& gemm_kernels(Isa isa) {
#ifdef SLOPE_X86
  if (isa == Isa::avx512) return avx512::kGemmDouble;
  if (isa == Isa::avx2) return avx2::kGemmDouble;
#endif
  return generic::kGemmDouble;
}

template <typename T>
const GemmKernels<T>& gemm_kernels() {
  static const GemmKernels<T>& chosen = gemm_kernels<T>(isa());
  return chosen;
}

template <typename T>
void gemm(const GemmShape& shape, const T* a, const T* b, const T* bias, T* c) {
  multiply(shape, plain_operands(shape, a, b, bias, c), false);
}

template <typename T>
void gemm_serial(const GemmShape& shape, const T* a, const T* b, const T* bias, T* c) {
  multiply(shape, plain_operands(shape, a, b, bias, c), true);
}

template <typename T>
size_t packed_b_bytes(const GemmShape& shape) {
  return static_cast<size_t>(shape.k * gemm_kernels<T>().packed_columns(shape.n)) * sizeof(T);
}

template <typename T>
void pack_b(const GemmShape& shape, const T* b, void* packed) {
  if (shape.n == 0 || shape.k == 0) return;
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmOperands<T> o = plain_operands<T>(shape, nullptr, b, nullptr, nullptr);
  const int64_t strips = (shape.n + kernels.strip - 1) / kernels.strip;
  const double bytes = 2.0 * static_cast<double>(packed_b_bytes<T>(shape));
  parallel_for(strips, nanoseconds_for_bytes(bytes), [&](int64_t strip) {
    kernels.pack(o, strip * kernels.strip, static_cast<T*>(packed));
  });
}

template <typename T>
void gemm_packed(const GemmShape& shape, const T* a, const void* packed, const T* bias, T* c) {
  multiply(shape, packed_operands(shape, a, packed, bias, c), false);
}

template <typename T>
void gemm_packed_serial(const GemmShape& shape, const T* a, const void* packed, const T* bias,
                        T* c) {
  multiply(shape, packed_operands(shape, a, packed, bias, c), true);
}

#define SLOPE_INSTANTIATE(T)                                                           \
  template const GemmKernels<T>& gemm_kernels<T>();                                    \
  template void gemm<T>(const GemmShape&, const T*, const T*, const T*, T*);           \
  template void gemm_serial<T>(const GemmShape&, const T*, const T*, const T*, T*);    \
  template size_t packed_b_bytes<T>(const GemmShape&);                                 \
  template void pack_b<T>(const GemmShape&, const T*, void*);                          \
  template void gemm_packed<T>(const GemmShape&, const T*, const void*, const T*, T*); \
  template void gemm_packed_serial<T>(const GemmShape&, const T*, const void*, const T*, T*);
SLOPE_INSTANTIATE(float)
SLOPE_INSTANTIATE(double)
#undef SLOPE_INSTANTIATE

}  // namespace slope::cpu
