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

// Columns and rows of one part of a sum, which is kept on the stack.
constexpr int64_t kTile = 256, kRows = 64;

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Calls part(first row, rows, first column, columns) for all parts.
template <typename Part>
void for_parts(int64_t rows, int64_t channels, Part&& part) {
  for (int64_t c = 0; c < channels; c += kTile) {
    for (int64_t r = 0; r < rows; r += kRows) {
      part(r, smaller(rows - r, kRows), c, smaller(channels - c, kTile));
    }
  }
}

template <typename T>
void add_to(int64_t n, const T* part, double* sums) {
  SLOPE_EACH(int64_t i = 0; i < n; ++i) sums[i] += static_cast<double>(part[i]);
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
void add_centred_part(int64_t rows, int64_t columns, int64_t stride, const T* v, const T* mean,
                      double* sums, double* squares) {
  alignas(64) T sum[kTile], square[kTile];
  clear(columns, sum);
  clear(columns, square);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = v + r * stride, *b = a + stride, *c = b + stride, *d = c + stride;
    SLOPE_EACH(int64_t i = 0; i < columns; ++i) {
      const T m = mean[i], p = a[i] - m, q = b[i] - m, s = c[i] - m, t = d[i] - m;
      sum[i] += (p + q) + (s + t);
      square[i] += mul_add(p, p, q * q) + mul_add(s, s, t * t);
    }
  }
  for (; r < rows; ++r) {
    const T* a = v + r * stride;
    SLOPE_EACH(int64_t i = 0; i < columns; ++i) {
      const T p = a[i] - mean[i];
      sum[i] += p;
      square[i] = mul_add(p, p, square[i]);
    }
  }
  add_to(columns, sum, sums);
  add_to(columns, square, squares);
}

template <typename T>
void centred_sums(int64_t rows, int64_t channels, const T* v, const T* mean, double* sums,
                  double* squares) {
  clear(channels, sums);
  clear(channels, squares);
  for_parts(rows, channels, [&](int64_t row, int64_t n, int64_t column, int64_t columns) {
    add_centred_part(n, columns, channels, v + row * channels + column, mean + column,
                     sums + column, squares + column);
  });
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
double wide_total(int64_t width, const double* values, const T* weight) {
  constexpr int64_t lanes = 16;
  const auto value = [&](int64_t i) {
    return weight ? values[i] * static_cast<double>(weight[i]) : values[i];
  };
  double total = 0;
  int64_t i = 0;
  if (width >= 2 * lanes) {
    double lane[lanes];
    for (int64_t l = 0; l < lanes; ++l) lane[l] = value(l);
    for (i = lanes; i + lanes <= width; i += lanes) {
      for (int64_t l = 0; l < lanes; ++l) lane[l] += value(i + l);
    }
    for (int64_t l = 0; l < lanes; ++l) total += lane[l];
  }
  for (; i < width; ++i) total += value(i);
  return total;
}

template <typename T>
void group_totals(int64_t groups, int64_t width, const double* values, const T* weight,
                  double* totals) {
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
        const double value = values[g * w + j];
        total += weight ? value * static_cast<double>(weight[g * w + j]) : value;
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

template <typename Formula, typename T>
void add_gradient_part(int64_t rows, int64_t columns, int64_t stride, const T* g, const T* v,
                       const T* mean, const T* scale, const T* shift, T* dz, double* sums,
                       double* products) {
  alignas(64) T sum[kTile], product[kTile];
  clear(columns, sum);
  clear(columns, product);
  for (int64_t r = 0; r < rows; ++r) {
    const T *upstream = g + r * stride, *from = v + r * stride;
    T* to = dz + r * stride;
    SLOPE_EACH(int64_t i = 0; i < columns; ++i) {
      const T centred = from[i] - mean[i];
      const T d = Formula::gradient(upstream[i], mul_add(centred, scale[i], shift[i]));
      to[i] = d;
      sum[i] += d;
      product[i] = mul_add(d, centred, product[i]);
    }
  }
  add_to(columns, sum, sums);
  add_to(columns, product, products);
}

template <typename T>
void gradient_sums(Activation activation, int64_t rows, int64_t channels, const T* g, const T* v,
                   const T* mean, const T* scale, const T* shift, T* dz, double* sums,
                   double* products) {
  clear(channels, sums);
  clear(channels, products);
  formula::with_activation(activation, [&]<typename Formula>() {
    for_parts(rows, channels, [&](int64_t row, int64_t n, int64_t column, int64_t columns) {
      const int64_t at = row * channels + column;
      add_gradient_part<Formula>(n, columns, channels, g + at, v + at, mean + column,
                                 scale + column, shift + column, dz + at, sums + column,
                                 products + column);
    });
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
