// Matrix product: time and share of the machine's peak, with oneDNN beside it where slope was built
// with it.
//
//   gemm_bench [--threads N] [--seconds S]
//
// The peak is measured in the same run by a loop of multiply-adds on registers. Times are minima;
// `packed` is the same product with B packed before, as for weights that are used many times.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "backends/cpu/gemm.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#ifdef SLOPE_WITH_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif

namespace {

using slope::cpu::GemmShape;
using slope::cpu::Isa;

double seconds_per_case = 0.2;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The shortest time of one call, in seconds. Calls are timed in groups of at least 20 us.
double shortest(const std::function<void()>& call) {
  call();
  double start = now();
  call();
  const int group = std::max(1, static_cast<int>(20e-6 / std::max(now() - start, 1e-9)));
  double best = 1e30;
  const double end = now() + seconds_per_case;
  do {
    start = now();
    for (int i = 0; i < group; ++i) call();
    best = std::min(best, (now() - start) / group);
  } while (now() < end);
  return best;
}

// ---- the machine's peak ------------------------------------------------------------------------

// 14 independent chains of multiply-adds on whole vectors, 10,000 each. Returns the number of
// floating point operations.
#define SLOPE_PEAK_LOOP(name, attributes, T, Vector, multiply_add)                    \
  __attribute__((noinline, attributes)) double name() {                               \
    constexpr int chains = 14, rounds = 10000;                                        \
    Vector sum[chains]; /* each its own value: equal chains would be computed once */ \
    for (int i = 0; i < chains; ++i) sum[i] = Vector{} + static_cast<T>(i);           \
    Vector factor = Vector{} + static_cast<T>(0.5);                                   \
    for (int r = 0; r < rounds; ++r) {                                                \
      asm volatile("" : "+x"(factor));                                                \
      _Pragma("GCC unroll 14") for (int i = 0; i < chains; ++i) sum[i] =              \
          multiply_add(sum[i], factor, factor);                                       \
    }                                                                                 \
    for (int i = 0; i < chains; ++i) asm volatile("" ::"x"(sum[i]));                  \
    return 2.0 * chains * rounds * (sizeof(Vector) / sizeof(T));                      \
  }
#define SLOPE_PLAIN(a, b, c) ((a) * (b) + (c))

typedef float FourFloats __attribute__((vector_size(16)));
typedef double TwoDoubles __attribute__((vector_size(16)));
SLOPE_PEAK_LOOP(generic_float, unused, float, FourFloats, SLOPE_PLAIN)
SLOPE_PEAK_LOOP(generic_double, unused, double, TwoDoubles, SLOPE_PLAIN)
#if defined(__x86_64__)
SLOPE_PEAK_LOOP(avx2_float, target("avx2,fma"), float, __m256, _mm256_fmadd_ps)
SLOPE_PEAK_LOOP(avx2_double, target("avx2,fma"), double, __m256d, _mm256_fmadd_pd)
SLOPE_PEAK_LOOP(avx512_float, target("avx512f,fma"), float, __m512, _mm512_fmadd_ps)
SLOPE_PEAK_LOOP(avx512_double, target("avx512f,fma"), double, __m512d, _mm512_fmadd_pd)
#endif

double (*peak_loop(bool is_float))() {
#if defined(__x86_64__)
  if (slope::cpu::isa() == Isa::avx512) return is_float ? avx512_float : avx512_double;
  if (slope::cpu::isa() == Isa::avx2) return is_float ? avx2_float : avx2_double;
#endif
  return is_float ? generic_float : generic_double;
}

// Floating point operations per second on all threads together.
double peak(bool is_float) {
  double (*loop)() = peak_loop(is_float);
  const int threads = slope::cpu::threads();
  const double operations = loop() * threads;
  return operations /
         shortest([&] { slope::cpu::parallel_for(threads, 1e9, [&](int64_t) { loop(); }); });
}

// ---- oneDNN ------------------------------------------------------------------------------------

#ifdef SLOPE_WITH_ONEDNN
double onednn_seconds(const GemmShape& s, const float* a, const float* b, float* c) {
  using dnnl::memory;
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  static dnnl::stream stream(engine);
  const auto f32 = memory::data_type::f32;
  const memory::dims strides_a = s.transpose_a ? memory::dims{1, s.m} : memory::dims{s.k, 1};
  const memory::dims strides_b = s.transpose_b ? memory::dims{1, s.k} : memory::dims{s.n, 1};
  const memory::desc a_desc({s.m, s.k}, f32, strides_a), b_desc({s.k, s.n}, f32, strides_b),
      c_desc({s.m, s.n}, f32, memory::dims{s.n, 1});
  const dnnl::matmul matmul(
      dnnl::matmul::primitive_desc(dnnl::matmul::desc(a_desc, b_desc, c_desc), engine));
  memory a_memory(a_desc, engine, const_cast<float*>(a)),
      b_memory(b_desc, engine, const_cast<float*>(b)), c_memory(c_desc, engine, c);
  const std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b_memory}, {DNNL_ARG_DST, c_memory}};
  return shortest([&] {
    matmul.execute(stream, arguments);
    stream.wait();
  });
}
#endif

// ---- the table ---------------------------------------------------------------------------------

// 64-byte aligned, as storage is.
template <typename T>
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64)),
              std::free) {}
  T* data() { return data_.get(); }

 private:
  std::unique_ptr<T, void (*)(void*)> data_;
};

struct Row {
  const char* what;
  GemmShape shape;
};

GemmShape shape(int64_t m, int64_t k, int64_t n, bool transpose_a, bool transpose_b) {
  GemmShape s;
  s.m = m, s.k = k, s.n = n, s.transpose_a = transpose_a, s.transpose_b = transpose_b;
  return s;
}

template <typename T>
void measure(const Row& row, double peak_rate) {
  const GemmShape& s = row.shape;
  std::mt19937 random(1);
  std::uniform_real_distribution<T> uniform(-1, 1);
  Buffer<T> a(s.m * s.k), b(s.k * s.n), c(s.m * s.n);
  for (int64_t i = 0; i < s.m * s.k; ++i) a.data()[i] = uniform(random);
  for (int64_t i = 0; i < s.k * s.n; ++i) b.data()[i] = uniform(random);
  Buffer<T> packed(slope::cpu::packed_b_bytes<T>(s) / sizeof(T));
  slope::cpu::pack_b(s, b.data(), packed.data());

  const double operations = 2.0 * s.m * s.n * s.k;
  const double own =
      shortest([&] { slope::cpu::gemm<T>(s, a.data(), b.data(), nullptr, c.data()); });
  const double own_packed =
      shortest([&] { slope::cpu::gemm_packed<T>(s, a.data(), packed.data(), nullptr, c.data()); });
  std::printf("%-26s %5lld %5lld %5lld %s%s %10.2f %8.1f %5.1f%% %10.2f %5.1f%%", row.what,
              static_cast<long long>(s.m), static_cast<long long>(s.k), static_cast<long long>(s.n),
              s.transpose_a ? "T" : "-", s.transpose_b ? "T" : "-", own * 1e6,
              operations / own * 1e-9, 100 * operations / own / peak_rate, own_packed * 1e6,
              100 * operations / own_packed / peak_rate);
#ifdef SLOPE_WITH_ONEDNN
  if constexpr (sizeof(T) == sizeof(float)) {
    const double peer = onednn_seconds(s, a.data(), b.data(), c.data());
    std::printf(" %10.2f %6.2f", peer * 1e6, own / peer);
  }
#endif
  std::printf("\n");
}

template <typename T>
void table() {
  const Row rows[] = {
      {"square 512", shape(512, 512, 512, false, false)},
      {"square 512, B transposed", shape(512, 512, 512, false, true)},
      {"square 512, A transposed", shape(512, 512, 512, true, false)},
      {"square 1024", shape(1024, 1024, 1024, false, false)},
      {"square 96", shape(96, 96, 96, false, false)},
      {"head forward", shape(128, 64, 10, false, true)},
      {"head data gradient", shape(128, 10, 64, false, false)},
      {"head weight gradient", shape(10, 128, 64, true, false)},
      {"spheres 2-32 forward", shape(128, 2, 32, false, true)},
      {"spheres 2-32 data", shape(128, 32, 2, false, false)},
      {"spheres 2-32 weights", shape(32, 128, 2, true, false)},
      {"spheres 32-32 forward", shape(128, 32, 32, false, true)},
      {"spheres 32-32 data", shape(128, 32, 32, false, false)},
      {"spheres 32-32 weights", shape(32, 128, 32, true, false)},
      {"spheres 32-2 forward", shape(128, 32, 2, false, true)},
      {"spheres 32-2 data", shape(128, 2, 32, false, false)},
      {"spheres 32-2 weights", shape(2, 128, 32, true, false)},
      {"spheres 900-32 forward", shape(128, 900, 32, false, true)},
      {"spheres 900-32 data", shape(128, 32, 900, false, false)},
      {"spheres 900-32 weights", shape(32, 128, 900, true, false)},
      {"field as product", shape(128 * 36, 576, 64, false, false)},
      {"field, weights as stored", shape(128 * 36, 576, 64, false, true)},
      {"field weight gradient", shape(576, 128 * 36, 64, true, false)},
      {"one row", shape(1, 64, 64, false, true)},
      {"one row, 2-32", shape(1, 2, 32, false, true)},
  };
  const bool is_float = sizeof(T) == sizeof(float);
  const double rate = peak(is_float);
  std::printf("\n%s, %s, %d threads: peak %.1f GFLOP/s\n", is_float ? "float32" : "float64",
              slope::cpu::name(slope::cpu::isa()), slope::cpu::threads(), rate * 1e-9);
  std::printf("%-26s %5s %5s %5s AB %10s %8s %6s %10s %6s %10s %6s\n", "", "m", "k", "n", "us",
              "GFLOP/s", "peak", "packed us", "peak", "oneDNN us", "ratio");
  for (const Row& row : rows) measure<T>(row, rate);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) slope::cpu::set_threads(std::atoi(argv[i + 1]));
    if (std::strcmp(argv[i], "--seconds") == 0) seconds_per_case = std::atof(argv[i + 1]);
  }
  table<float>();
  table<double>();
  return 0;
}
