// The loops of softmax and cross-entropy, compiled once per instruction set: rows of class values.
#pragma once

#include <cstdint>

namespace slope::cpu {

template <typename T>
struct LossKernels {
  // x, y: (rows, classes)
  void (*softmax)(int64_t rows, int64_t classes, const T* x, T* y);
  void (*log_softmax)(int64_t rows, int64_t classes, const T* x, T* y);
  // losses: (rows). A label that is no class gives NaN.
  void (*cross_entropy)(int64_t rows, int64_t classes, const T* logits, const int32_t* labels,
                        double smoothing, double* losses);
  // dx = (softmax - target) * g[row * g_stride] * share
  void (*cross_entropy_gradient)(int64_t rows, int64_t classes, const T* g, int64_t g_stride,
                                 double share, const T* logits, const int32_t* labels,
                                 double smoothing, T* dx);
};

// The kernels of the instruction set isa().
template <typename T>
const LossKernels<T>& loss_kernels();

#define SLOPE_DECLARE_LOSS_KERNELS(set)         \
  namespace set {                               \
  extern const LossKernels<float> kLossFloat;   \
  extern const LossKernels<double> kLossDouble; \
  }
SLOPE_DECLARE_LOSS_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_LOSS_KERNELS(avx2)
SLOPE_DECLARE_LOSS_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_LOSS_KERNELS

}  // namespace slope::cpu
