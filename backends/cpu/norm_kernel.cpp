#include "backends/cpu/norm_kernel.h"

#include "core/ops/activation_formulas.h"

// Every loop below is free of dependences between iterations (arguments are the same place or do
// not overlap), which GCC cannot know.
#define SLOPE_EACH _Pragma("GCC ivdep") for

namespace slope::cpu::SLOPE_ISA {
namespace {

using math::mul_add;

template <typename T>
void clear(int64_t n, T* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] = 0;
}

template <typename T>
void add_scaled(int64_t n, const T* x, T t, const T* map, T* v) {
  SLOPE_EACH(int64_t i = 0; i < n; ++i) v[i] = mul_add(t, map[i], x[i]);
}

// Four rows at a time: fewer trips of the sums through memory, and less rounding.
template <typename T>
void column_sums(int64_t rows, int64_t channels, const T* v, T* sums) {
  clear(channels, sums);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = v + r * channels, *b = a + channels, *c = b + channels, *d = c + channels;
    SLOPE_EACH(int64_t i = 0; i < channels; ++i) sums[i] += (a[i] + b[i]) + (c[i] + d[i]);
  }
  for (; r < rows; ++r) {
    const T* a = v + r * channels;
    SLOPE_EACH(int64_t i = 0; i < channels; ++i) sums[i] += a[i];
  }
}

template <typename T>
void centred_sums(int64_t rows, int64_t channels, const T* v, const T* mean, T* sums, T* squares) {
  clear(channels, sums);
  clear(channels, squares);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = v + r * channels, *b = a + channels, *c = b + channels, *d = c + channels;
    SLOPE_EACH(int64_t i = 0; i < channels; ++i) {
      const T m = mean[i], p = a[i] - m, q = b[i] - m, s = c[i] - m, t = d[i] - m;
      sums[i] += (p + q) + (s + t);
      squares[i] += mul_add(p, p, q * q) + mul_add(s, s, t * t);
    }
  }
  for (; r < rows; ++r) {
    const T* a = v + r * channels;
    SLOPE_EACH(int64_t i = 0; i < channels; ++i) {
      const T p = a[i] - mean[i];
      sums[i] += p;
      squares[i] = mul_add(p, p, squares[i]);
    }
  }
}

template <int64_t width>
struct Width {
  static constexpr int64_t value = width;
};
constexpr bool narrow(int64_t width) {
  return width == 1 || width == 2 || width == 4 || width == 8;
}

// Calls f with the width as a constant where groups are narrow, so that loops over them vectorise.
template <typename F>
inline __attribute__((always_inline)) void with_width(int64_t width, F&& f) {
  switch (width) {
    case 1:
      return f(Width<1>{});
    case 2:
      return f(Width<2>{});
    case 4:
      return f(Width<4>{});
    case 8:
      return f(Width<8>{});
  }
}

// Wide groups are first folded to 16 lanes, in the same order for every instruction set.
template <typename T>
double wide_total(int64_t width, const T* values, const T* weight) {
  constexpr int64_t lanes = 16;
  const auto value = [&](int64_t i) { return weight ? values[i] * weight[i] : values[i]; };
  double total = 0;
  int64_t i = 0;
  if (width >= 2 * lanes) {
    T lane[lanes];
    for (int64_t l = 0; l < lanes; ++l) lane[l] = value(l);
    for (i = lanes; i + lanes <= width; i += lanes) {
      for (int64_t l = 0; l < lanes; ++l) lane[l] += value(i + l);
    }
    for (int64_t l = 0; l < lanes; ++l) total += static_cast<double>(lane[l]);
  }
  for (; i < width; ++i) total += static_cast<double>(value(i));
  return total;
}

template <typename T>
void group_totals(int64_t groups, int64_t width, const T* values, const T* weight, double* totals) {
  if (!narrow(width)) {
    for (int64_t g = 0; g < groups; ++g) {
      totals[g] = wide_total(width, values + g * width, weight ? weight + g * width : nullptr);
    }
    return;
  }
  with_width(width, [&](auto constant) {
    constexpr int64_t w = decltype(constant)::value;
    SLOPE_EACH(int64_t g = 0; g < groups; ++g) {
      double total = 0;
      for (int64_t j = 0; j < w; ++j) {
        const T value = values[g * w + j];
        total += static_cast<double>(weight ? value * weight[g * w + j] : value);
      }
      totals[g] = total;
    }
  });
}

template <typename T>
void spread(int64_t groups, int64_t width, const T* of_group, T* of_channel) {
  if (!narrow(width)) {
    for (int64_t g = 0; g < groups; ++g) {
      T* to = of_channel + g * width;
      SLOPE_EACH(int64_t j = 0; j < width; ++j) to[j] = of_group[g];
    }
    return;
  }
  with_width(width, [&](auto constant) {
    constexpr int64_t w = decltype(constant)::value;
    SLOPE_EACH(int64_t g = 0; g < groups; ++g) {
      for (int64_t j = 0; j < w; ++j) of_channel[g * w + j] = of_group[g];
    }
  });
}

template <typename T>
void moments(int64_t groups, double count, double epsilon, const double* totals,
             const double* square_totals, T* mean, T* rstd) {
  SLOPE_EACH(int64_t g = 0; g < groups; ++g) {
    const double off = totals[g] / count;
    const double variance = square_totals[g] / count - off * off;
    const double positive = math::select(variance < 0, 0.0, variance);  // NaN stays
    mean[g] = static_cast<T>(static_cast<double>(mean[g]) + off);
    rstd[g] = static_cast<T>(1 / math::sqrt(positive + epsilon));
  }
}

// dx = rstd (dn - mean(dn) - n mean(dn n)) with dn = weight dz and n = rstd (v - mean)
template <typename T>
void gradient_terms(int64_t groups, double count, const T* rstd, const double* totals,
                    const double* product_totals, T* tilt, T* offset) {
  SLOPE_EACH(int64_t g = 0; g < groups; ++g) {
    const double r = static_cast<double>(rstd[g]), share = r / count;
    tilt[g] = static_cast<T>(-share * r * r * product_totals[g]);
    offset[g] = static_cast<T>(-share * totals[g]);
  }
}

template <typename T>
void affine(int64_t channels, const T* rstd, const T* weight, const T* bias, T* scale, T* shift) {
  if (weight) {
    SLOPE_EACH(int64_t c = 0; c < channels; ++c) scale[c] = rstd[c] * weight[c];
  } else {
    SLOPE_EACH(int64_t c = 0; c < channels; ++c) scale[c] = rstd[c];
  }
  if (bias) {
    SLOPE_EACH(int64_t c = 0; c < channels; ++c) shift[c] = bias[c];
  } else {
    clear(channels, shift);
  }
}

template <typename T>
void normalise(Activation activation, int64_t rows, int64_t channels, const T* v, const T* mean,
               const T* scale, const T* shift, T* y) {
  formula::with_activation(activation, [&]<typename Formula>() {
    for (int64_t r = 0; r < rows; ++r) {
      const T* from = v + r * channels;
      T* to = y + r * channels;
      SLOPE_EACH(int64_t i = 0; i < channels; ++i) {
        to[i] = Formula::value(mul_add(from[i] - mean[i], scale[i], shift[i]));
      }
    }
  });
}

template <typename T>
void gradient_sums(Activation activation, int64_t rows, int64_t channels, const T* g, const T* v,
                   const T* mean, const T* scale, const T* shift, T* dz, T* sums, T* products) {
  clear(channels, sums);
  clear(channels, products);
  formula::with_activation(activation, [&]<typename Formula>() {
    for (int64_t r = 0; r < rows; ++r) {
      const T* upstream = g + r * channels;
      const T* from = v + r * channels;
      T* to = dz + r * channels;
      SLOPE_EACH(int64_t i = 0; i < channels; ++i) {
        const T centred = from[i] - mean[i];
        const T d = Formula::gradient(upstream[i], mul_add(centred, scale[i], shift[i]));
        to[i] = d;
        sums[i] += d;
        products[i] = mul_add(d, centred, products[i]);
      }
    }
  });
}

template <typename T>
void gradient_values(int64_t rows, int64_t channels, const T* dz, const T* v, const T* mean,
                     const T* scale, const T* tilt, const T* offset, T* dx) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* d = dz + r * channels;
    const T* from = v + r * channels;
    T* to = dx + r * channels;
    SLOPE_EACH(int64_t i = 0; i < channels; ++i) {
      to[i] = mul_add(scale[i], d[i], mul_add(tilt[i], from[i] - mean[i], offset[i]));
    }
  }
}

template <typename T>
void weighted_sums(int64_t rows, int64_t columns, int64_t stride, const T* weights,
                   int64_t weight_stride, const T* v, T* sums) {
  clear(columns, sums);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = v + r * stride, *b = a + stride, *c = b + stride, *d = c + stride;
    const T *w = weights + r * weight_stride, wa = w[0], wb = w[weight_stride],
            wc = w[2 * weight_stride], wd = w[3 * weight_stride];
    SLOPE_EACH(int64_t i = 0; i < columns; ++i) {
      sums[i] += mul_add(wa, a[i], wb * b[i]) + mul_add(wc, c[i], wd * d[i]);
    }
  }
  for (; r < rows; ++r) {
    const T* a = v + r * stride;
    const T w = weights[r * weight_stride];
    SLOPE_EACH(int64_t i = 0; i < columns; ++i) sums[i] = mul_add(w, a[i], sums[i]);
  }
}

template <typename T>
constexpr NormKernels<T> all() {
  return {.add_scaled = add_scaled<T>,
          .column_sums = column_sums<T>,
          .centred_sums = centred_sums<T>,
          .group_totals = group_totals<T>,
          .spread = spread<T>,
          .moments = moments<T>,
          .gradient_terms = gradient_terms<T>,
          .affine = affine<T>,
          .normalise = normalise<T>,
          .gradient_sums = gradient_sums<T>,
          .gradient_values = gradient_values<T>,
          .weighted_sums = weighted_sums<T>};
}

}  // namespace

const NormKernels<float> kNormFloat = all<float>();
const NormKernels<double> kNormDouble = all<double>();

}  // namespace slope::cpu::SLOPE_ISA
