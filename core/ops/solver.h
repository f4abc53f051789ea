// The two fused ops of every Runge-Kutta step.
#pragma once

#include <array>
#include <span>

#include "core/tensor.h"

namespace slope {

constexpr int kMaxStages = 16;

// y + h * sum_i coefficients[i] * slopes[i], in one pass; zero coefficients are not read.
// y, slopes: any equal shape; h: () or (N, 1, .., 1). An undefined y counts as zero (for error estimates).
// Differentiable in y, h and the slopes.
Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes, std::span<const double> coefficients);
// The same with a tensor of coefficients (s), for trainable tableaus; `used[i]` false: structural zero, not read.
Tensor rk_combine(const Tensor& y, const Tensor& h, std::span<const Tensor> slopes, const Tensor& coefficients,
                  std::span<const bool> used);

// rms(e / (atol + rtol * max(|y0|, |y1|))), over everything -> (), or for each sample -> (N).
// e, y0, y1: equal shapes (N, ..). NaN and infinity in any value come through (Hairer, Norsett, Wanner II.4).
struct ErrorNormOptions {
  double atol = 1e-3;
  double rtol = 1e-3;
  bool per_sample = false;
};
Tensor error_norm(const Tensor& e, const Tensor& y0, const Tensor& y1, const ErrorNormOptions& options);

}  // namespace slope
