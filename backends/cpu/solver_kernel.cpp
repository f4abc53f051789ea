#include "backends/cpu/solver_kernel.h"

#include "core/ops/scalar.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

using math::mul_add;

// total = c[0] k[0] + c[1] k[1] + .., with the number of slopes known to the compiler, on top of
// what total holds already unless this is the start.
template <int slopes, bool start, typename T>
void add_slopes(const T* const* k, const T* c, int64_t begin, int64_t end, T* __restrict__ total) {
  const T* of[slopes];
  T weight[slopes];
  for (int s = 0; s < slopes; ++s) {
    of[s] = k[s] + begin;
    weight[s] = c[s];
  }
  const int64_t n = end - begin;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    T sum = start ? weight[0] * of[0][i] : mul_add(weight[0], of[0][i], total[i]);
#pragma GCC unroll 8
    for (int s = 1; s < slopes; ++s) sum = mul_add(weight[s], of[s][i], sum);
    total[i] = sum;
  }
}

// Up to four slopes in a pass over the block: the sums are the same however the passes are cut.
template <bool start, typename T>
void add_up_to_four(int64_t count, const T* const* k, const T* c, int64_t begin, int64_t end,
                    T* total) {
  switch (count) {
    case 1:
      return add_slopes<1, start>(k, c, begin, end, total);
    case 2:
      return add_slopes<2, start>(k, c, begin, end, total);
    case 3:
      return add_slopes<3, start>(k, c, begin, end, total);
    default:
      return add_slopes<4, start>(k, c, begin, end, total);
  }
}

template <typename T>
void sum_slopes(int64_t count, const T* const* k, const T* c, int64_t begin, int64_t end,
                T* total) {
  add_up_to_four<true>(count, k, c, begin, end, total);
  for (int64_t s = 4; s < count; s += 4) {
    add_up_to_four<false>(count - s, k + s, c + s, begin, end, total);
  }
}

template <typename T>
void advance(int64_t n, const T* y, T h, const T* total, T* out) {
  if (y) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = mul_add(h, total[i], y[i]);
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = h * total[i];
  }
}

template <typename T>
void advance_each(int64_t n, const T* y, const T* h, const T* total, T* out) {
  if (y) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = mul_add(h[i], total[i], y[i]);
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = h[i] * total[i];
  }
}

// The ratios of a block, then sixteen running sums of their squares, folded in order: a fixed tree.
template <typename T>
double scaled_squares(int64_t n, const T* e, const T* y0, const T* y1, double atol, double rtol) {
  constexpr int64_t block = 256, lanes = 8;
  typedef double Lanes __attribute__((vector_size(lanes * sizeof(double))));
  const T absolute = static_cast<T>(atol), relative = static_cast<T>(rtol);
  if (n < 2 * lanes) {
    double total = 0;
    for (int64_t i = 0; i < n; ++i) {
      const T largest = math::maximum(math::abs(y0[i]), math::abs(y1[i]));
      const double ratio = static_cast<double>(e[i] / mul_add(relative, largest, absolute));
      total += ratio * ratio;
    }
    return total;
  }
  alignas(64) double ratio[block];
  Lanes even{}, odd{};
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t size = n - begin < block ? n - begin : block;
    const T *error = e + begin, *a = y0 + begin, *b = y1 + begin;
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) {
      const T largest = math::maximum(math::abs(a[i]), math::abs(b[i]));
      ratio[i] = static_cast<double>(error[i] / mul_add(relative, largest, absolute));
    }
    const int64_t filled = (size + 2 * lanes - 1) / (2 * lanes) * (2 * lanes);
    for (int64_t i = size; i < filled; ++i) ratio[i] = 0;
    const Lanes* r = reinterpret_cast<const Lanes*>(ratio);
    for (int64_t i = 0; i < filled / lanes; i += 2) {
      even += r[i] * r[i];
      odd += r[i + 1] * r[i + 1];
    }
  }
  even += odd;
  double total = 0;
  for (int64_t l = 0; l < lanes; ++l) total += even[l];
  return total;
}

template <typename T>
constexpr SolverKernels<T> all() {
  return {.sum_slopes = sum_slopes<T>,
          .advance = advance<T>,
          .advance_each = advance_each<T>,
          .scaled_squares = scaled_squares<T>};
}

}  // namespace

const SolverKernels<float> kSolverFloat = all<float>();
const SolverKernels<double> kSolverDouble = all<double>();

}  // namespace slope::cpu::SLOPE_ISA
