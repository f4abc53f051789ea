// What the kernels of a normalisation and of its gradient share: the values, their statistics, and
// what happens to a value.
#pragma once

#include "backends/cuda/context.h"
#include "backends/cuda/reduction.h"
#include "backends/cuda/strided.h"
#include "core/ops/activation_formulas.h"
#include "core/ops/norm.h"

namespace slope::cuda {

// x: (samples, positions, channels) plus, where t is not null, t * map: (positions, channels).
// Statistic s = n * statistics_per_sample + c / width belongs to channel c of sample n: group norm
// has `groups` statistics per sample, batch norm one per channel for all samples.
template <typename T>
struct NormValues {
  const T *x, *t, *map;
  const T *weight, *bias;  // (channels) or null
  const T *mean, *spread;  // of each statistic: the mean, and 1 / deviation or the variance
  int64_t samples, positions, channels, t_stride;
  int64_t statistics_per_sample, width;
  bool spread_is_variance;
  double epsilon;

#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)
  // The value of sample n at `inside` = position * channels + channel.
  SLOPE_DEVICE double at(int64_t n, int64_t inside) const {
    const double value = static_cast<double>(x[n * positions * channels + inside]);
    return t ? value + static_cast<double>(t[n * t_stride]) * static_cast<double>(map[inside])
             : value;
  }
  SLOPE_DEVICE int64_t statistic(int64_t n, int64_t channel) const {
    return n * statistics_per_sample +
           static_cast<uint32_t>(channel) / static_cast<uint32_t>(width);
  }
  SLOPE_DEVICE double deviation_inverse(int64_t s) const {
    const double given = static_cast<double>(spread[s]);
    return spread_is_variance ? 1 / ::sqrt(given + epsilon) : given;
  }
  SLOPE_DEVICE T scale(int64_t channel) const { return weight ? weight[channel] : T(1); }
  // What the activation gets.
  SLOPE_DEVICE T affine(T normalised, int64_t channel) const {
    return normalised * scale(channel) + (bias ? bias[channel] : T(0));
  }
#endif
};

template <typename T>
NormValues<T> norm_values(const NormSizes& sizes) {
  NormValues<T> v{};
  v.samples = sizes.samples;
  v.positions = sizes.positions;
  v.channels = sizes.channels;
  v.t_stride = sizes.t_stride;
  v.width = 1;
  return v;
}

inline int64_t values_of(const NormSizes& sizes) {
  return sizes.samples * sizes.positions * sizes.channels;
}

// One block for each (sample, group).
inline Grid grid_of_groups(const NormSizes& sizes, int64_t groups) {
  return {static_cast<unsigned>(sizes.samples * groups)};
}

}  // namespace slope::cuda
