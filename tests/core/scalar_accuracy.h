// How the tests of core/ops/scalar.h measure: loops compiled for one instruction set against libm
// in a wider type (double for float, long double for double).
#pragma once

#include <span>

namespace slope::test {

// One function over arrays: out[i] = f(x[i], y[i]), n values; y is read but unused where f has one
// argument.
struct Loop {
  const char* name;
  void (*run_float)(const float* x, const float* y, float* out, int n);
  void (*run_double)(const double* x, const double* y, double* out, int n);
};

// Every loop stays within the bound of its function over the whole range (scalar_test.cpp has the
// bounds); specials (zeros, infinities, NaN, subnormals, the edges of overflow) have the right
// result.
void check_accuracy(std::span<const Loop> loops);

// A value's result has the same bits at every position of a loop of odd length as on its own.
void check_positions(std::span<const Loop> loops);

}  // namespace slope::test
