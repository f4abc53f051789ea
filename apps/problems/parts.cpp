#include "apps/problems/parts.h"

#include <cmath>

#include "core/ops.h"
#include "ode/number_text.h"

namespace slope::problems {

Tensor row(const std::vector<double>& values, Dtype dtype) {
  return tensor(values, {1, static_cast<int64_t>(values.size())}, dtype);
}

Tensor part(const Tensor& y, int64_t i) { return slice(y, -1, i, i + 1); }

Tensor join(const Tensors& parts) { return concatenate(parts, -1); }

ode::Field linear_field(const std::vector<double>& a, Dtype dtype) {
  const auto n = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(a.size()))));
  // y is a row, so y' = y A^T.
  return {.context = {tensor(a, {n, n}, dtype)},
          .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
            return linear(y, context[0]);
          }};
}

ode::Field two_body_field() {
  return ode::separable_field({.position_slope = [](const Tensor&, const Tensor& velocity,
                                                    const Tensors&) { return velocity; },
                               .momentum_slope =
                                   [](const Tensor&, const Tensor& position, const Tensors&) {
                                     const Tensor r2 = sum(square(position), {-1}, true);
                                     return neg(position) * pow(r2, -1.5);
                                   }});
}

std::vector<double> two_body_start(double e) { return {1 - e, 0, 0, std::sqrt((1 + e) / (1 - e))}; }

std::vector<double> two_body_solution(double e, double t) {
  // The eccentric anomaly, u - e sin u = t: bisection, because Newton leaps for e near 1.
  double low = t - e, high = t + e;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (middle - e * std::sin(middle) < t ? low : high) = middle;
  }
  const double u = high, w = std::sqrt((1 - e) * (1 + e)), rate = 1 / (1 - e * std::cos(u));
  return {std::cos(u) - e, w * std::sin(u), -std::sin(u) * rate, w * std::cos(u) * rate};
}

double take_parameter(Word& word, const std::string& name, double standard, double low,
                      double high) {
  const auto text = word.take(name);
  if (!text) return standard;
  const auto value = ode::parse_number(*text);
  if (!value || !(*value >= low && *value < high)) {
    const std::string range = high < HUGE_VAL ? concat("from ", ode::number_text(low), " to below ",
                                                       ode::number_text(high))
                                              : concat("of ", ode::number_text(low), " or more");
    throw ValueError(concat("problem: ", name, " of ", word.name(), " must be a number ", range,
                            ", got ", *text, "."));
  }
  return *value;
}

}  // namespace slope::problems
