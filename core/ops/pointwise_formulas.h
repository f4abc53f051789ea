// The formulas of pointwise.def as function objects: what a kernel applies to numbers and a
// gradient rule to tensors.
//
// Each has `arity`, the number of its inputs, and eval(in, p, q): in[0..arity-1] are numbers or
// tensors. NAME_value is the op. NAME_dx, NAME_da, NAME_db are its derivatives; their inputs are g,
// then those of the arguments and y that the line keeps, in that order. No dependency but scalar.h,
// so that kernel files stay small.
#pragma once

#include "core/ops/scalar.h"

#ifndef SLOPE_HOST_DEVICE
#ifdef __CUDACC__
#define SLOPE_HOST_DEVICE __host__ __device__
#else
#define SLOPE_HOST_DEVICE
#endif
#endif

namespace slope::formula {

using namespace slope::math;  // NOLINT: the words of pointwise.def

// What a derivative reads: bits for the first argument, the second, the third, and the result.
enum Keeps { NONE = 0, X = 1, Y = 8, XY = 9, A = 1, B = 2, AB = 3, BY = 10, ABY = 11, AOnly = 1 };
constexpr int count(int keeps) {
  return (keeps & 1) + (keeps >> 1 & 1) + (keeps >> 2 & 1) + (keeps >> 3 & 1);
}
// Place of a kept thing among a derivative's inputs; 0 (that is g, unused by the formula) when it
// is not kept.
constexpr int place(int keeps, int bit) { return keeps & bit ? 1 + count(keeps & (bit - 1)) : 0; }

#define SLOPE_FORMULA(struct_name, number_of_inputs, declarations, text)                          \
  struct struct_name {                                                                            \
    static constexpr int arity = number_of_inputs;                                                \
    template <typename V, typename P>                                                             \
    SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V eval(const V* in,            \
                                                                          [[maybe_unused]] P p,   \
                                                                          [[maybe_unused]] P q) { \
      declarations return static_cast<V>(text);                                                   \
    }                                                                                             \
  };
#define SLOPE_KEPT_UNARY(keeps) \
  [[maybe_unused]] const V &g = in[0], &x = in[place(keeps, 1)], &y = in[place(keeps, 8)];
#define SLOPE_KEPT_BINARY(keeps)                                                           \
  [[maybe_unused]] const V &g = in[0], &a = in[place(keeps, 1)], &b = in[place(keeps, 2)], \
                           &y = in[place(keeps, 8)];

#define UNARY(name, text, dx, keeps, low, high) PARAMETRIC(name, text, dx, keeps, low, high, 0, 0)
#define PARAMETRIC(name, text, dx, keeps, low, high, p_tested, q_tested) \
  SLOPE_FORMULA(name##_value, 1, const V& x = in[0];, text)              \
  SLOPE_FORMULA(name##_dx, 1 + count(keeps), SLOPE_KEPT_UNARY(keeps), dx)
#define BINARY(name, text, da, db, keeps, low, high)                            \
  SLOPE_FORMULA(name##_value, 2, const V& a = in[0]; const V& b = in[1];, text) \
  SLOPE_FORMULA(name##_da, 1 + count(keeps), SLOPE_KEPT_BINARY(keeps), da)      \
  SLOPE_FORMULA(name##_db, 1 + count(keeps), SLOPE_KEPT_BINARY(keeps), db)
#define STEP(name, text, low, high) SLOPE_FORMULA(name##_value, 1, const V& x = in[0];, text)
#define COMPARE(name, text) \
  SLOPE_FORMULA(name##_value, 2, const V& a = in[0]; const V& b = in[1];, text)
#define COMPARE_SCALAR(name, text) SLOPE_FORMULA(name##_value, 1, const V& x = in[0];, text)
#include "core/ops/pointwise.def"
#undef UNARY
#undef PARAMETRIC
#undef BINARY
#undef STEP
#undef COMPARE
#undef COMPARE_SCALAR
#undef SLOPE_FORMULA
#undef SLOPE_KEPT_UNARY
#undef SLOPE_KEPT_BINARY

// condition is 0 or not 0. Not in pointwise.def: its gradient has no kernel of its own, it is
// select again.
struct select_value {
  static constexpr int arity = 3;
  template <typename V, typename P>
  SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V eval(const V* in, P, P) {
    return select(in[0] != 0, in[1], in[2]);
  }
};

}  // namespace slope::formula
