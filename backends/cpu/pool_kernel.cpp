#include "backends/cpu/pool_kernel.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

// Calls f(place, tap, pixel) for each place of row `row` of the results and each of its taps that
// sees a pixel, places first. All three count over the whole batch, without channels.
template <typename F>
inline __attribute__((always_inline)) void for_each_tap(const PoolShape& z, int64_t row, F f) {
  const int64_t image = row / z.result_height;
  const int64_t top = row % z.result_height * z.stride_height - z.padding_height;
  for (int64_t j = 0; j < z.result_width; ++j) {
    const int64_t left = j * z.stride_width - z.padding_width;
    for (int64_t r = 0; r < z.window_height; ++r) {
      if (top + r < 0 || top + r >= z.height) continue;
      for (int64_t s = 0; s < z.window_width; ++s) {
        if (left + s < 0 || left + s >= z.width) continue;
        f(row * z.result_width + j, r * z.window_width + s,
          (image * z.height + top + r) * z.width + left + s);
      }
    }
  }
}

// The same pairs seen from a row of the images: those whose pixel is in it. For each pixel they
// come in the order of for_each_tap, so that sums have the same bits.
template <typename F>
inline __attribute__((always_inline)) void for_each_place_over(const PoolShape& z, int64_t row,
                                                               F f) {
  const int64_t image = row / z.height;
  const int64_t y = row % z.height + z.padding_height;
  for (int64_t i = 0; i < z.result_height; ++i) {
    const int64_t r = y - i * z.stride_height;
    if (r < 0) break;
    if (r >= z.window_height) continue;
    for (int64_t j = 0; j < z.result_width; ++j) {
      const int64_t left = j * z.stride_width - z.padding_width;
      for (int64_t s = 0; s < z.window_width; ++s) {
        if (left + s < 0 || left + s >= z.width) continue;
        f((image * z.result_height + i) * z.result_width + j, r * z.window_width + s,
          row * z.width + left + s);
      }
    }
  }
}

template <typename T>
void clear(T* row, int64_t values) {
  for (int64_t i = 0; i < values; ++i) row[i] = 0;
}

template <typename T>
void maximum(const PoolShape& z, int64_t row, const T* x, T* y, int32_t* taps) {
  int64_t last_place = -1;
  for_each_tap(z, row, [&](int64_t place, int64_t tap, int64_t pixel) {
    const T* __restrict__ value = x + pixel * z.channels;
    T* __restrict__ best = y + place * z.channels;
    int32_t* __restrict__ winner = taps + place * z.channels;
    const int32_t number = static_cast<int32_t>(tap);
    if (place != last_place) {
      last_place = place;
      for (int64_t c = 0; c < z.channels; ++c) {
        best[c] = value[c];
        winner[c] = number;
      }
      return;
    }
    for (int64_t c = 0; c < z.channels; ++c) {
      const bool wins = (value[c] > best[c]) | (value[c] != value[c]);  // NaN wins
      best[c] = wins ? value[c] : best[c];
      winner[c] = wins ? number : winner[c];
    }
  });
}

template <typename T>
void maximum_gradient(const PoolShape& z, int64_t row, const T* g, const int32_t* taps, T* dx) {
  clear(dx + row * z.width * z.channels, z.width * z.channels);
  for_each_place_over(z, row, [&](int64_t place, int64_t tap, int64_t pixel) {
    const T* __restrict__ share = g + place * z.channels;
    const int32_t* __restrict__ winner = taps + place * z.channels;
    T* __restrict__ sum = dx + pixel * z.channels;
    const int32_t number = static_cast<int32_t>(tap);
    for (int64_t c = 0; c < z.channels; ++c) sum[c] += winner[c] == number ? share[c] : T(0);
  });
}

template <typename T>
void pick(const PoolShape& z, int64_t row, const T* u, const int32_t* taps, T* picked) {
  clear(picked + row * z.result_width * z.channels, z.result_width * z.channels);
  for_each_tap(z, row, [&](int64_t place, int64_t tap, int64_t pixel) {
    const T* __restrict__ value = u + pixel * z.channels;
    const int32_t* __restrict__ winner = taps + place * z.channels;
    T* __restrict__ chosen = picked + place * z.channels;
    const int32_t number = static_cast<int32_t>(tap);
    for (int64_t c = 0; c < z.channels; ++c) chosen[c] = winner[c] == number ? value[c] : chosen[c];
  });
}

template <typename T>
void divide(const PoolShape& z, T* row, int64_t values) {
  const T count = static_cast<T>(z.window_height * z.window_width);
  for (int64_t i = 0; i < values; ++i) row[i] /= count;
}

template <typename T>
void average(const PoolShape& z, int64_t row, const T* x, T* y) {
  T* result = y + row * z.result_width * z.channels;
  clear(result, z.result_width * z.channels);
  for_each_tap(z, row, [&](int64_t place, int64_t, int64_t pixel) {
    const T* __restrict__ value = x + pixel * z.channels;
    T* __restrict__ sum = y + place * z.channels;
    for (int64_t c = 0; c < z.channels; ++c) sum[c] += value[c];
  });
  divide(z, result, z.result_width * z.channels);
}

template <typename T>
void average_gradient(const PoolShape& z, int64_t row, const T* g, T* dx) {
  T* result = dx + row * z.width * z.channels;
  clear(result, z.width * z.channels);
  for_each_place_over(z, row, [&](int64_t place, int64_t, int64_t pixel) {
    const T* __restrict__ share = g + place * z.channels;
    T* __restrict__ sum = dx + pixel * z.channels;
    for (int64_t c = 0; c < z.channels; ++c) sum[c] += share[c];
  });
  divide(z, result, z.width * z.channels);
}

}  // namespace

#define SLOPE_POOL_KERNELS(T) \
  { maximum<T>, maximum_gradient<T>, pick<T>, average<T>, average_gradient<T> }
const PoolKernels<float> kPoolFloat = SLOPE_POOL_KERNELS(float);
const PoolKernels<double> kPoolDouble = SLOPE_POOL_KERNELS(double);
#undef SLOPE_POOL_KERNELS

}  // namespace slope::cpu::SLOPE_ISA
