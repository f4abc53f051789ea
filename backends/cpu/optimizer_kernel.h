// The loops of the optimiser steps, compiled once per instruction set. Everything is over n values.
#pragma once

#include <cstdint>

namespace slope::cpu {

template <typename T>
struct OptimizerKernels {
  // velocity may be null: no momentum.
  void (*sgd)(int64_t n, T* p, const T* g, T* velocity, double rate, double momentum,
              double weight_decay, bool nesterov);
  // With g' = g + penalty p: m and v towards g' and g'^2, then
  // p = keep * p - size * m / (sqrt(v) * spread + epsilon).
  struct Adam {
    double beta1, beta2, epsilon, penalty, keep, size, spread;
  };
  void (*adam)(int64_t n, T* p, const T* g, T* m, T* v, const Adam& numbers);
  void (*rmsprop)(int64_t n, T* p, const T* g, T* square_average, T* velocity, double rate,
                  double momentum, double alpha, double epsilon, double weight_decay);
};

// The kernels of the instruction set isa().
template <typename T>
const OptimizerKernels<T>& optimizer_kernels();

#define SLOPE_DECLARE_OPTIMIZER_KERNELS(set)              \
  namespace set {                                         \
  extern const OptimizerKernels<float> kOptimizerFloat;   \
  extern const OptimizerKernels<double> kOptimizerDouble; \
  }
SLOPE_DECLARE_OPTIMIZER_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_OPTIMIZER_KERNELS(avx2)
SLOPE_DECLARE_OPTIMIZER_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_OPTIMIZER_KERNELS

}  // namespace slope::cpu
