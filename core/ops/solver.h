// The two fused ops of every Runge-Kutta step.
#pragma once

#include <array>
#include <span>

#include "core/tensor.h"

namespace slope {

constexpr int kMaxStages = 16;

// y + h * sum_i coefficients[i] * slopes[i], in one pass; zero coefficients are not read.
// y, slopes: any equal shape; h: () or (N, 1, .., 1). An undefined y counts as zero (for error
// estimates). Differentiable in y, h and the slopes.
Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes,
                  std::span<const double> coefficients);
// The same with a tensor of coefficients (s), for trainable tableaus; `used[i]` false: structural
// zero, not read. Differentiable in the coefficients too.
Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes,
                  const Tensor& coefficients, std::span<const bool> used);

// rms(e / (atol + rtol * max(|y0|, |y1|))), over everything -> (), or for each sample -> (N).
// e, y0, y1: equal shapes (N, ..). NaN and infinity in any value come through (Hairer, Norsett,
// Wanner II.4).
struct ErrorNormOptions {
  double atol = 1e-3;
  double rtol = 1e-3;
  bool per_sample = false;
};
Tensor error_norm(const Tensor& e, const Tensor& y0, const Tensor& y1,
                  const ErrorNormOptions& options);

// For backends. y may be undefined (zero), and so may h (one); one slope at least.
//   rk_combine            y, h, slopes.. -> like a slope
//   rk_combine_trainable  y, h, coefficients (s), slopes.. -> like a slope
//   error_norm            e, y0, y1 -> () or (N)
// Slopes are added up in their order: y + h * (c_0 k_0 + c_1 k_1 + ..).
struct RkCombineAttributes {
  std::array<double, kMaxStages> coefficients{};
};
struct RkCombineTrainableAttributes {
  std::array<int64_t, kMaxStages> places{};  // slope i goes with coefficients[places[i]]
};
struct ErrorNormAttributes {
  double atol = 1e-3;
  double rtol = 1e-3;
  int64_t per_sample = 0;
};
// The sizes of both forms of rk_combine.
struct RkCombineSizes {
  int64_t slopes = 0;  // how many
  int64_t steps = 1;   // values of h: 1, or one for each sample
  int64_t values = 0;  // of y that go with one value of h
};
RkCombineSizes rk_combine_sizes(const Tensor& h, std::span<const Tensor> slopes);

}  // namespace slope
