// The formulas of the Runge-Kutta families (families.h), for numbers and for tensors alike: a
// member with fixed parameters and a trainable one are made by the same lines.
#pragma once

#include <cstdint>
#include <vector>

namespace slope::ode {

// Coefficients of one member. Number: double, or Tensor ().
template <typename Number>
struct FamilyMember {
  std::vector<Number> c;               // (s)
  std::vector<std::vector<Number>> a;  // row i has i entries
  std::vector<Number> b;               // (s)
};

// one: 1, as a Number.
template <typename Number>
FamilyMember<Number> rk2_formulas(const Number& one, const Number& u) {
  const Number b2 = one / (2 * u);
  return {.c = {0 * one, u}, .a = {{}, {u}}, .b = {one - b2, b2}};
}

template <typename Number>
FamilyMember<Number> rk3_formulas(const Number& one, const Number& u, const Number& v) {
  const Number b2 = (2 - 3 * v) / (6 * u * (u - v));
  const Number b3 = (2 - 3 * u) / (6 * v * (v - u));
  const Number a32 = v * (v - u) / (u * (2 - 3 * u));
  return {.c = {0 * one, u, v}, .a = {{}, {u}, {v - a32, a32}}, .b = {one - b2 - b3, b2, b3}};
}

// The four-stage method with nodes (0, c2, c3, 1), weights b, and a32, a42, a43; the first column
// follows from sum_j a_ij = c_i.
template <typename Number>
FamilyMember<Number> four_stages(const Number& one, const Number& c2, const Number& c3,
                                 std::vector<Number> b, const Number& a32, const Number& a42,
                                 const Number& a43) {
  return {.c = {0 * one, c2, c3, one},
          .a = {{}, {c2}, {c3 - a32, a32}, {one - a42 - a43, a42, a43}},
          .b = std::move(b)};
}

template <typename Number>
FamilyMember<Number> rk4_u1_formulas(const Number& one, const Number& u) {
  return four_stages<Number>(one, 0.5 * one, 0 * one, {1. / 6 - u, 2. / 3 * one, u, 1. / 6 * one},
                             one / (12 * u), 1.5 * one, 6 * u);
}

template <typename Number>
FamilyMember<Number> rk4_u2_formulas(const Number& one, const Number& u) {
  auto m =
      four_stages<Number>(one, 0.5 * one, 0.5 * one, {1. / 6 * one, 2. / 3 - u, u, 1. / 6 * one},
                          one / (6 * u), one - 3 * u, 3 * u);
  m.a[3][0] = 0 * one;  // exactly, as 1 - a42 - a43 is not after rounding
  return m;
}

template <typename Number>
FamilyMember<Number> rk4_u3_formulas(const Number& one, const Number& u) {
  return four_stages<Number>(one, one, 0.5 * one, {1. / 6 * one, 1. / 6 - u, 2. / 3 * one, u},
                             1. / 8 * one, -1 / (12 * u), one / (3 * u));
}

template <typename Number>
FamilyMember<Number> rk4_formulas(const Number& one, const Number& u, const Number& v) {
  const Number d = 6 * u * v - 4 * (u + v) + 3;
  const Number b2 = (2 * v - 1) / (12 * u * (1 - u) * (v - u));
  const Number b3 = (1 - 2 * u) / (12 * v * (1 - v) * (v - u));
  const Number b4 = d / (12 * (1 - u) * (1 - v));
  const Number a32 = v * (v - u) / (2 * u * (1 - 2 * u));
  const Number a42 = (1 - u) * (u + v - 1 - (2 * v - 1) * (2 * v - 1)) / (2 * u * (v - u) * d);
  const Number a43 = (1 - 2 * u) * (1 - u) * (1 - v) / (v * (v - u) * d);
  return four_stages<Number>(one, u, v, {one - b2 - b3 - b4, b2, b3, b4}, a32, a42, a43);
}

}  // namespace slope::ode
