// Nanoseconds per value of the functions of core/ops/scalar.h, in a loop over 2048 values that stay
// in the first-level cache: as compiled for AVX2 and for AVX-512, with libm called once per value
// beside.
//
//   scalar_bench [--seconds S]
//
// Times are minima. Needs g++ on x86-64, which can change the instruction set within a file.
#include <math.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/core/scalar_accuracy.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// The loops alone get these instruction sets; cmake/bench.cmake gives the file the kernels' flags.
#pragma GCC push_options
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

constexpr int kValues = 2048;
double seconds_per_case = 0.05;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The shortest time of one value, in nanoseconds. x in (0.1, 3), y in (-2, 2).
template <class T, class Run>
double nanoseconds(Run run) {
  std::vector<T> x(kValues), y(kValues), out(kValues);
  for (int i = 0; i < kValues; ++i) {
    x[i] = static_cast<T>(0.1 + 2.9 * ((i * 787) % kValues) / kValues);
    y[i] = static_cast<T>(-2 + 4.0 * i / kValues);
  }
  double best = 1e30;
  const double end = now() + seconds_per_case;
  do {
    const double start = now();
    for (int i = 0; i < 4; ++i) {
      run(x.data(), y.data(), out.data(), kValues);
      asm volatile("" : : "r"(out.data()) : "memory");
    }
    best = std::min(best, (now() - start) / (4 * kValues));
  } while (now() < end);
  return best * 1e9;
}

#define SLOPE_LIBM(name, expression)                                                  \
  {                                                                                   \
#name,                                                                              \
   [](const float* xs, [[maybe_unused]] const float* ys, float* out, int n) {          \
     for (int i = 0; i < n; ++i) {                                                     \
       const float x = xs[i];                                                          \
       [[maybe_unused]] const float y = ys[i];                                         \
       out[i] = std::expression;                                                       \
     }                                                                                 \
   },                                                                                  \
   [](const double* xs, [[maybe_unused]] const double* ys, double* out, int n) {       \
     for (int i = 0; i < n; ++i) {                                                     \
       const double x = xs[i];                                                         \
       [[maybe_unused]] const double y = ys[i];                                        \
       out[i] = std::expression;                                                       \
     }                                                                                 \
   } \
  }

const Loop libm_loops[] = {
    SLOPE_LIBM(exp, exp(x)), SLOPE_LIBM(expm1, expm1(x)), SLOPE_LIBM(log, log(x)),
    SLOPE_LIBM(sin, sin(x)), SLOPE_LIBM(log1p, log1p(x)), SLOPE_LIBM(cos, cos(x)),
    SLOPE_LIBM(erf, erf(x)), SLOPE_LIBM(tanh, tanh(x)),   SLOPE_LIBM(pow, pow(x, y)),
};

void print(const Loop* loop, bool can_run) {
  if (loop == nullptr || !can_run) {
    std::printf("  %6s %6s", "-", "-");
    return;
  }
  std::printf("  %6.2f %6.2f", nanoseconds<float>(loop->run_float),
              nanoseconds<double>(loop->run_double));
}

void run() {
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  std::printf("ns per value   AVX2          AVX-512           libm\n");
  std::printf("%-10s  %6s %6s  %6s %6s  %6s %6s\n", "", "float", "double", "float", "double",
              "float", "double");
  for (size_t i = 0; i < std::size(avx2::loops); ++i) {
    const std::string name = avx2::loops[i].name;
    const auto* libm = std::find_if(std::begin(libm_loops), std::end(libm_loops),
                                    [&](const Loop& loop) { return loop.name == name; });
    std::printf("%-10s", name.c_str());
    print(&avx2::loops[i], has_avx2);
    print(&avx512::loops[i], has_avx512);
    print(libm == std::end(libm_loops) ? nullptr : libm, true);
    std::printf("\n");
  }
}

}  // namespace
}  // namespace slope::test

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
      slope::test::seconds_per_case = std::atof(argv[++i]);
    } else {
      std::fprintf(stderr, "error: scalar_bench: unknown option %s. Use --seconds S.\n", argv[i]);
      return 2;
    }
  }
  slope::test::run();
}
#else
#include <cstdio>
int main() { std::puts("SKIPPED: scalar_bench needs g++ on x86-64"); }
#endif
