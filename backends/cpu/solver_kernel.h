// The loops of a Runge-Kutta step, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace slope::cpu {

// Values that rk_combine takes through L1 at a time.
constexpr int64_t kCombineBlock = 512;

template <typename T>
struct SolverKernels {
  // total = sum over s of coefficients[s] * slopes[s][i], i in [begin, end), at most a block
  void (*sum_slopes)(int64_t count, const T* const* slopes, const T* coefficients, int64_t begin,
                     int64_t end, T* total);
  // out = y + h * total over n values; y may be null (zero)
  void (*advance)(int64_t n, const T* y, T h, const T* total, T* out);
  // The same with a step of its own for each value.
  void (*advance_each)(int64_t n, const T* y, const T* h, const T* total, T* out);
  // The sum of (e / (atol + rtol * max(|y0|, |y1|)))^2 over n values. In double: the square of a
  // large ratio must not overflow.
  double (*scaled_squares)(int64_t n, const T* e, const T* y0, const T* y1, double atol,
                           double rtol);
};

// The kernels of the instruction set isa().
template <typename T>
const SolverKernels<T>& solver_kernels();

#define SLOPE_DECLARE_SOLVER_KERNELS(set)           \
  namespace set {                                   \
  extern const SolverKernels<float> kSolverFloat;   \
  extern const SolverKernels<double> kSolverDouble; \
  }
SLOPE_DECLARE_SOLVER_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_SOLVER_KERNELS(avx2)
SLOPE_DECLARE_SOLVER_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_SOLVER_KERNELS

}  // namespace slope::cpu
