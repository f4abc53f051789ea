// Random values by the block, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace slope::cpu {

// Fills `blocks` whole blocks of values_per_block<T> values (core/ops/philox.h), the first of them
// being block number `first` of the key.
template <typename T>
struct RandomKernels {
  void (*uniform)(const int32_t* key, uint64_t first, int64_t blocks, T* out);
  void (*normal)(const int32_t* key, uint64_t first, int64_t blocks, T* out);
};

#define SLOPE_DECLARE_RANDOM_KERNELS(set)           \
  namespace set {                                   \
  extern const RandomKernels<float> kRandomFloat;   \
  extern const RandomKernels<double> kRandomDouble; \
  }
SLOPE_DECLARE_RANDOM_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_RANDOM_KERNELS(avx2)
SLOPE_DECLARE_RANDOM_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_RANDOM_KERNELS

}  // namespace slope::cpu
