// The loops of the normalisations, compiled once per instruction set. Values are rows of channels:
// v (rows, channels), contiguous. What belongs to a channel (mean, scale, sums, ..) is a row of its
// own, so that one loop serves groups of any width.
#pragma once

#include <cstdint>

#include "core/ops/activation.h"

namespace slope::cpu {

template <typename T>
struct NormKernels {
  // v[i] = x[i] + t * map[i] for i in [0, n)
  void (*add_scaled)(int64_t n, const T* x, T t, const T* map, T* v);

  // sums[c] = the sum of column c
  void (*column_sums)(int64_t rows, int64_t channels, const T* v, T* sums);

  // The sums below are made in T over 64 rows and added up in double: a long sum in float32 drifts
  // where rounding always goes the same way, as over a nearly constant image.
  //
  // With d = v - mean: sums[c] of d, squares[c] of d^2. The mean is only near: the sum of d, which
  // would be zero, corrects it (Chan, Golub and LeVeque 1983).
  void (*centred_sums)(int64_t rows, int64_t channels, const T* v, const T* mean, double* sums,
                       double* squares);

  // From channels to groups of `width` channels and back.
  // totals[g] = the sum of values[c] (times weight[c], unless weight is null) over the group
  void (*group_totals)(int64_t groups, int64_t width, const double* values, const T* weight,
                       double* totals);
  // of_channel[c] = of_group[c / width]
  void (*spread)(int64_t groups, int64_t width, const T* of_group, T* of_channel);
  // Corrects mean by the totals of d and d^2, d = value - mean, over count values, and gives
  // rstd = 1 / sqrt(variance + epsilon).
  void (*moments)(int64_t groups, double count, double epsilon, const double* totals,
                  const double* square_totals, T* mean, T* rstd);
  // The terms of gradient_values for totals of weight * dz and of weight * dz * (v - mean).
  void (*gradient_terms)(int64_t groups, double count, const T* rstd, const double* totals,
                         const double* product_totals, T* tilt, T* offset);
  // scale = rstd * weight and shift = bias, of each channel; weight and bias may be null
  void (*affine)(int64_t channels, const T* rstd, const T* weight, const T* bias, T* scale,
                 T* shift);

  // y = activation((v - mean) * scale + shift). y may be v.
  void (*normalise)(Activation activation, int64_t rows, int64_t channels, const T* v,
                    const T* mean, const T* scale, const T* shift, T* y);

  // dz = activation'((v - mean) * scale + shift) * g; sums[c] of dz, products[c] of
  // dz * (v - mean).
  void (*gradient_sums)(Activation activation, int64_t rows, int64_t channels, const T* g,
                        const T* v, const T* mean, const T* scale, const T* shift, T* dz,
                        double* sums, double* products);
  // dx = scale * dz + tilt * (v - mean) + offset. dx may be dz.
  void (*gradient_values)(int64_t rows, int64_t channels, const T* dz, const T* v, const T* mean,
                          const T* scale, const T* tilt, const T* offset, T* dx);

  // sums[c] = the sum over r of weights[r * weight_stride] * v[r * stride + c], c in [0, columns)
  void (*weighted_sums)(int64_t rows, int64_t columns, int64_t stride, const T* weights,
                        int64_t weight_stride, const T* v, T* sums);
};

// The kernels of the instruction set isa().
template <typename T>
const NormKernels<T>& norm_kernels();

#define SLOPE_DECLARE_NORM_KERNELS(set)         \
  namespace set {                               \
  extern const NormKernels<float> kNormFloat;   \
  extern const NormKernels<double> kNormDouble; \
  }
SLOPE_DECLARE_NORM_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_NORM_KERNELS(avx2)
SLOPE_DECLARE_NORM_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_NORM_KERNELS

}  // namespace slope::cpu
