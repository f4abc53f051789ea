// The pooling loops, compiled once per instruction set. Vectors run along the channels.
#pragma once

#include <cstdint>

namespace slope::cpu {

// Sizes as in core/ops/window.h; a result and its taps are (N, H', W', C).
struct PoolShape {
  int64_t height = 0, width = 0, channels = 0;  // of an image
  int64_t result_height = 0, result_width = 0;
  int64_t window_height = 0, window_width = 0;
  int64_t stride_height = 0, stride_width = 0;
  int64_t padding_height = 0, padding_width = 0;
};

// Each function computes one row. `row` counts the rows of a whole batch: of results for maximum,
// pick and average, of images for the two gradients. Pointers are to the start of the batch.
template <typename T>
struct PoolKernels {
  void (*maximum)(const PoolShape&, int64_t row, const T* x, T* y, int32_t* taps) = nullptr;
  void (*maximum_gradient)(const PoolShape&, int64_t row, const T* g, const int32_t* taps,
                           T* dx) = nullptr;
  void (*pick)(const PoolShape&, int64_t row, const T* u, const int32_t* taps, T* picked) = nullptr;
  void (*average)(const PoolShape&, int64_t row, const T* x, T* y) = nullptr;
  void (*average_gradient)(const PoolShape&, int64_t row, const T* g, T* dx) = nullptr;
};

#define SLOPE_DECLARE_POOL_KERNELS(set)         \
  namespace set {                               \
  extern const PoolKernels<float> kPoolFloat;   \
  extern const PoolKernels<double> kPoolDouble; \
  }
SLOPE_DECLARE_POOL_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_POOL_KERNELS(avx2)
SLOPE_DECLARE_POOL_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_POOL_KERNELS

}  // namespace slope::cpu
