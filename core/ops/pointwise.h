// Pointwise ops. Arguments of two-argument ops broadcast: axes are aligned at the right, length 1
// stretches. All take float32 or float64, the same for every argument, and give that dtype.
// Formulas: pointwise.def.
#pragma once

#include "core/tensor.h"

namespace slope {

// Two numbers that a pointwise op may carry.
struct PointwiseParameters {
  double p = 0;
  double q = 0;
};

Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);  // log(1 + exp(x))
Tensor relu(const Tensor& x);
Tensor silu(const Tensor& x);  // x * sigmoid(x)
Tensor erf(const Tensor& x);
Tensor gelu(const Tensor& x);  // exact, with erf
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor elu(const Tensor& x, double alpha = 1);
Tensor clamp(const Tensor& x, double low, double high);
Tensor pow(const Tensor& x, double exponent);

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);  // NaN if either is NaN
Tensor minimum(const Tensor& a, const Tensor& b);
// clamp from one side; where x is the number itself the gradient passes whole.
Tensor maximum(const Tensor& x, double low);
Tensor minimum(const Tensor& x, double high);
// a where condition is not 0, else b.
Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor select(const Tensor& condition, const Tensor& a, double b);
Tensor select(const Tensor& condition, double a, const Tensor& b);

// Gradient zero. Comparisons give 0 or 1 in the dtype of their arguments.
Tensor sign(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor is_finite(const Tensor& x);
Tensor equal(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor less_equal(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
Tensor greater_equal(const Tensor& a, const Tensor& b);

// Operators. Host numbers take the tensor's dtype; no tensor is made for them. There is no == on
// purpose: it reads like a question with one answer; write equal(a, b).
Tensor operator-(const Tensor& x);
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(double a, const Tensor& b);
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, double b);
Tensor operator<=(const Tensor& a, double b);
Tensor operator>(const Tensor& a, double b);
Tensor operator>=(const Tensor& a, double b);

}  // namespace slope
