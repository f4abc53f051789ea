// core/ops/scalar.h as the vector kernels compile it: with fused multiply-add, AVX2 and AVX-512.
#include <doctest/doctest.h>

#include "tests/core/scalar_accuracy.h"
#include "tests/skip.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <math.h>

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

// The loops alone are compiled for these instruction sets. Headers of others stand above, so that
// nothing that other files share is, and the test cases stand below, so that every machine can run
// them.
#pragma GCC push_options
#pragma GCC optimize("O3,no-math-errno,no-trapping-math")
#pragma GCC target("avx2,fma")
#define SLOPE_SCALAR_FUSED 1
#include "core/ops/scalar.h"

namespace slope::test {

#define SLOPE_LOOPS avx2
#include "tests/core/scalar_loops.inc"
#undef SLOPE_LOOPS

#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#define SLOPE_LOOPS avx512
#include "tests/core/scalar_loops.inc"
#undef SLOPE_LOOPS
#pragma GCC pop_options

namespace {

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

TEST_CASE("scalar functions, AVX2: within their bounds, the same at every position") {
  if (!has_avx2()) SKIP_TEST("this machine has no AVX2 with FMA");
  check_accuracy(avx2::loops);
  check_positions(avx2::loops);
}

TEST_CASE("scalar functions, AVX-512: within their bounds, the same at every position") {
  if (!has_avx512()) SKIP_TEST("this machine has no AVX-512 (F, DQ, BW, VL)");
  check_accuracy(avx512::loops);
  check_positions(avx512::loops);
}

}  // namespace
}  // namespace slope::test
#else
TEST_CASE("scalar functions, AVX2 and AVX-512: within their bounds, the same at every position") {
  SKIP_TEST("needs g++ on x86-64: other compilers do not change the instruction set within a file");
}
#endif
