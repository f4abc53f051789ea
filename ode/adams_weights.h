// The weights of Adams methods for any steps.
#pragma once

#include <vector>

#include "ode/scheme.h"

namespace slope::ode {

// A number and its derivative by one of the times.
struct Dual {
  double value = 0, slope = 0;
};
inline Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
inline Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
inline Dual operator*(Dual a, Dual b) {
  return {a.value * b.value, a.slope * b.value + a.value * b.slope};
}
inline Dual operator/(Dual a, Dual b) {
  const double value = a.value / b.value;
  return {value, (a.slope - value * b.slope) / b.value};
}

// times[j] as a Number, and as the one by which is differentiated if it is times[by].
template <typename Number>
Number adams_time(const std::vector<double>& times, size_t j, size_t by);
template <>
inline double adams_time<double>(const std::vector<double>& times, size_t j, size_t) {
  return times[j];
}
template <>
inline Dual adams_time<Dual>(const std::vector<double>& times, size_t j, size_t by) {
  return {times[j], j == by ? 1. : 0.};
}

// A clock whose values are made by values(Number(), by) for numbers of either kind.
template <typename Values>
Clock adams_clock(const std::vector<double>& times, const Values& values) {
  return {.values = values(double(), size_t{0}),
          .times = times,
          .slopes = {},
          .slopes_on_demand = [times, values] {
            std::vector<std::vector<double>> slopes(times.size());
            for (size_t by = 0; by < times.size(); ++by) {
              for (const Dual& x : values(Dual(), by)) slopes[by].push_back(x.slope);
            }
            return slopes;
          }};
}

// What the weights w of one step multiply: y1 = y + h (w_0 f_0 + w_1 f_1 + ..), where f_j belongs
// to nodes[j] = (t_j - t) / h. They integrate the polynomial through the nodes from 0 to 1.
// Number: double or Dual.
template <typename Number>
std::vector<Number> adams_weights(const std::vector<Number>& nodes) {
  std::vector<Number> weights;
  for (size_t j = 0; j < nodes.size(); ++j) {
    // Lagrange's polynomial that is 1 at node j and 0 at the others, coefficient by coefficient.
    std::vector<Number> polynomial = {Number{1}};
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (i == j) continue;
      const Number scale = Number{1} / (nodes[j] - nodes[i]);
      std::vector<Number> product(polynomial.size() + 1, Number{0});
      for (size_t power = 0; power < polynomial.size(); ++power) {
        const Number c = polynomial[power] * scale;
        product[power] = product[power] - c * nodes[i];
        product[power + 1] = product[power + 1] + c;
      }
      polynomial = product;
    }
    Number integral{0};
    for (size_t power = 0; power < polynomial.size(); ++power) {
      integral = integral + polynomial[power] / Number{static_cast<double>(power + 1)};
    }
    weights.push_back(integral);
  }
  return weights;
}

}  // namespace slope::ode
