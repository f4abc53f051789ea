#include "backends/cpu/peak.h"

#include <algorithm>
#include <chrono>

#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {
namespace {

// 14 independent chains of multiply-adds on vectors of `bytes`, 10,000 each. Returns floating point
// operations.
#define SLOPE_PEAK_LOOP(name, attributes, T, bytes)                                                \
  attributes double name() {                                                                       \
    typedef T Vector __attribute__((vector_size(bytes)));                                          \
    constexpr int chains = 14, rounds = 10000;                                                     \
    Vector sum[chains];                                                                            \
    for (int i = 0; i < chains; ++i) sum[i] = Vector{} + static_cast<T>(i);                        \
    Vector factor = Vector{} + static_cast<T>(0.5);                                                \
    for (int r = 0; r < rounds; ++r) {                                                             \
      asm volatile("" : "+x"(factor));                                                             \
      _Pragma("GCC unroll 14") for (int i = 0; i < chains; ++i) sum[i] = sum[i] * factor + factor; \
    }                                                                                              \
    for (int i = 0; i < chains; ++i) asm volatile("" ::"x"(sum[i]));                               \
    return 2.0 * chains * rounds * (bytes / sizeof(T));                                            \
  }
// The optimiser may fuse here and only here: the loop is written so that it must.
#define SLOPE_FUSED(set) __attribute__((noinline, target(set), optimize("O3,fp-contract=fast")))
#define SLOPE_PLAIN __attribute__((noinline, optimize("O3")))

SLOPE_PEAK_LOOP(generic_float, SLOPE_PLAIN, float, 16)
SLOPE_PEAK_LOOP(generic_double, SLOPE_PLAIN, double, 16)
#ifdef SLOPE_X86
SLOPE_PEAK_LOOP(avx2_float, SLOPE_FUSED("avx2,fma"), float, 32)
SLOPE_PEAK_LOOP(avx2_double, SLOPE_FUSED("avx2,fma"), double, 32)
SLOPE_PEAK_LOOP(avx512_float, SLOPE_FUSED("avx512f,fma"), float, 64)
SLOPE_PEAK_LOOP(avx512_double, SLOPE_FUSED("avx512f,fma"), double, 64)
#endif

double (*peak_loop(bool is_float))() {
#ifdef SLOPE_X86
  if (isa() == Isa::avx512) return is_float ? avx512_float : avx512_double;
  if (isa() == Isa::avx2) return is_float ? avx2_float : avx2_double;
#endif
  return is_float ? generic_float : generic_double;
}

double measure(bool is_float) {
  using Clock = std::chrono::steady_clock;
  double (*loop)() = peak_loop(is_float);
  const double operations = loop() * threads();
  double best = 0;
  for (const auto end = Clock::now() + std::chrono::milliseconds(40); Clock::now() < end;) {
    const auto start = Clock::now();
    parallel_for(threads(), 1e9, [&](int64_t) { loop(); });
    best = std::max(best, operations / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace

double measure_peak_float32() { return measure(true); }
double measure_peak_float64() { return measure(false); }

}  // namespace slope::cpu
