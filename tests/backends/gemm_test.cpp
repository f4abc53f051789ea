// Matrix product of the cpu backend: against its definition bit for bit, on every instruction set
// of this machine.
#include "backends/cpu/gemm.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "backends/cpu/gemm_kernel.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"

namespace {

using namespace slope::cpu;

template <typename T>
std::vector<T> random_values(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> values(count);
  for (T& value : values) value = uniform(generator);
  return values;
}

// Sets the number of threads for one scope.
class Threads {
 public:
  explicit Threads(int count) : before_(threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// The definition in gemm.h, element by element. `fused`: whether a multiply-add rounds once.
template <typename T>
void multiply_by_definition(const GemmShape& s, const T* a, const T* b, const T* bias, T* c,
                            bool fused) {
  const int64_t lda = s.lda ? s.lda : s.transpose_a ? s.m : s.k;
  const int64_t ldb = s.ldb ? s.ldb : s.transpose_b ? s.k : s.n;
  const int64_t ldc = s.ldc ? s.ldc : s.n;
  for (int64_t item = 0; item < s.batch; ++item) {
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        T& result = c[item * s.stride_c + i * ldc + j];
        bool has_start = s.accumulate || bias;
        T total = s.accumulate ? result : bias ? bias[j] : T(0);
        for (int64_t begin = 0; begin < s.k; begin += kGemmDepth) {
          T sum = 0;
          for (int64_t p = begin; p < std::min(s.k, begin + kGemmDepth); ++p) {
            const T x = a[item * s.stride_a + (s.transpose_a ? p * lda + i : i * lda + p)];
            const T y = b[item * s.stride_b + (s.transpose_b ? j * ldb + p : p * ldb + j)];
            sum = fused ? std::fma(x, y, sum) : sum + x * y;
          }
          total = has_start ? total + sum : sum;
          has_start = true;
        }
        result = total;
      }
    }
  }
}

bool fuses(Isa isa) { return isa != Isa::generic; }

GemmShape shape(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b) {
  GemmShape s;
  s.m = m, s.n = n, s.k = k, s.transpose_a = transpose_a, s.transpose_b = transpose_b;
  return s;
}

struct Aligned {
  explicit Aligned(size_t bytes)
      : memory(std::aligned_alloc(64, (bytes + 64) / 64 * 64), std::free) {}
  std::unique_ptr<void, void (*)(void*)> memory;
};

// Sizes on both sides of every edge in the kernels: lanes, strips, tile heights, depth blocks.
const int64_t kSizes[] = {1, 2, 3, 6, 7, 10, 13, 15, 16, 17, 28, 31, 33, 48, 65, 131};
const int64_t kDepths[] = {1, 2, 5, 16, 63, 256, 257, 600};

template <typename T>
void check_against_definition() {
  std::mt19937 generator(7);
  const auto pick = [&](const auto& list) { return list[generator() % std::size(list)]; };
  for (int round = 0; round < 400; ++round) {
    GemmShape s =
        shape(pick(kSizes), pick(kSizes), pick(kDepths), generator() % 2, generator() % 2);
    if (generator() % 3 == 0) {  // rows that are parts of longer rows
      s.lda = (s.transpose_a ? s.m : s.k) + 3;
      s.ldb = (s.transpose_b ? s.k : s.n) + 5;
      s.ldc = s.n + 2;
    }
    s.accumulate = generator() % 4 == 0;
    const bool with_bias = !s.accumulate && generator() % 2;
    const int64_t a_size = (s.lda           ? s.lda
                            : s.transpose_a ? s.m
                                            : s.k) *
                           (s.transpose_a ? s.k : s.m);
    const int64_t b_size = (s.ldb           ? s.ldb
                            : s.transpose_b ? s.k
                                            : s.n) *
                           (s.transpose_b ? s.n : s.k);
    const int64_t c_size = (s.ldc ? s.ldc : s.n) * s.m;
    const auto a = random_values<T>(a_size, 1 + round), b = random_values<T>(b_size, 1000 + round),
               bias = random_values<T>(s.n, 2000 + round),
               before = random_values<T>(c_size, 3000 + round);
    const T* bias_data = with_bias ? bias.data() : nullptr;
    INFO("m ", s.m, " n ", s.n, " k ", s.k, " transposed ", s.transpose_a, s.transpose_b, " bias ",
         with_bias, " accumulate ", s.accumulate, " lda ", s.lda);

    auto expected = before, found = before;
    multiply_by_definition(s, a.data(), b.data(), bias_data, expected.data(), fuses(isa()));
    gemm(s, a.data(), b.data(), bias_data, found.data());
    CHECK(same_bits(found, expected));

    found = before;
    Aligned packed(packed_b_bytes<T>(s));
    pack_b(s, b.data(), packed.memory.get());
    gemm_packed(s, a.data(), packed.memory.get(), bias_data, found.data());
    CHECK(same_bits(found, expected));

    found = before;
    gemm_serial(s, a.data(), b.data(), bias_data, found.data());
    CHECK(same_bits(found, expected));
  }
}

TEST_CASE_TEMPLATE("gemm equals its definition bit for bit, packed or not", T, float, double) {
  check_against_definition<T>();
}

TEST_CASE_TEMPLATE("gemm kernels of every instruction set equal the definition bit for bit", T,
                   float, double) {
  int tested = 0;
  for (const Isa set : {Isa::generic, Isa::avx2, Isa::avx512}) {
    if (set > isa()) continue;
    INFO(name(set));
    const GemmKernels<T>& kernels = gemm_kernels<T>(set);
    const int64_t m = 37, n = 75, k = 300;
    const auto a = random_values<T>(m * k, 1), b = random_values<T>(k * n, 2),
               bias = random_values<T>(n, 3);
    std::vector<T> expected(m * n), found(m * n, T(-1));
    multiply_by_definition(shape(m, n, k, false, false), a.data(), b.data(), bias.data(),
                           expected.data(), fuses(set));
    GemmOperands<T> o;
    o.rows = m, o.columns = n, o.depth = k;
    o.x = a.data(), o.x_row = k, o.x_depth = 1;
    o.y = b.data(), o.y_depth = n, o.y_column = 1;
    o.c = found.data(), o.c_row = n, o.c_column = 1;
    o.bias = bias.data(), o.bias_column = 1;
    kernels.block(o, 0, m, 0, n);
    CHECK(same_bits(found, expected));
    // B from its transposed copy, C into its transposed place.
    std::vector<T> b_transposed(n * k), c_transposed(n * m, T(-1));
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) b_transposed[j * k + p] = b[p * n + j];
    }
    o.y = b_transposed.data(), o.y_depth = 1, o.y_column = k;
    o.c = c_transposed.data(), o.c_row = 1, o.c_column = m;
    kernels.block(o, 0, m, 0, n);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) found[i * n + j] = c_transposed[j * m + i];
    }
    CHECK(same_bits(found, expected));
    ++tested;
  }
  CHECK(tested >= 1);
}

TEST_CASE_TEMPLATE("gemm is close to the exact product", T, float, double) {
  const GemmShape s = shape(50, 70, 900, false, true);
  const auto a = random_values<T>(s.m * s.k, 1), b = random_values<T>(s.n * s.k, 2);
  std::vector<T> c(s.m * s.n);
  gemm<T>(s, a.data(), b.data(), nullptr, c.data());
  double worst = 0;
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      long double sum = 0, magnitude = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        const long double product = static_cast<long double>(a[i * s.k + p]) * b[j * s.k + p];
        sum += product, magnitude += std::abs(product);
      }
      worst = std::max(worst, static_cast<double>(std::abs(c[i * s.n + j] - sum) / magnitude));
    }
  }
  // 256 roundings in a row and four block sums, as a random walk: far below the bound of 260 half
  // units.
  CHECK(worst < 16 * std::numeric_limits<T>::epsilon());
  CHECK(worst > 0);
}

TEST_CASE_TEMPLATE("gemm gives the same bits on 1, 2 and 8 threads", T, float, double) {
  const GemmShape shapes[] = {shape(300, 200, 300, false, true), shape(576, 64, 1000, true, false),
                              shape(4000, 10, 64, false, true), shape(20, 900, 128, true, false)};
  for (const GemmShape& s : shapes) {
    INFO("m ", s.m, " n ", s.n, " k ", s.k);
    const auto a = random_values<T>(s.m * s.k, 1), b = random_values<T>(s.k * s.n, 2);
    std::vector<T> expected(s.m * s.n);
    multiply_by_definition<T>(s, a.data(), b.data(), nullptr, expected.data(), fuses(isa()));
    for (const int count : {1, 2, 8}) {
      const Threads scope(count);
      std::vector<T> found(s.m * s.n, T(-1));
      gemm<T>(s, a.data(), b.data(), nullptr, found.data());
      CHECK(same_bits(found, expected));
    }
  }
}

TEST_CASE_TEMPLATE("gemm: a row does not depend on the other rows nor on its position", T, float,
                   double) {
  for (const int64_t n : {2, 10, 64}) {
    for (const int64_t k : {2, 64, 700}) {
      const GemmShape whole = shape(150, n, k, false, true);
      const auto a = random_values<T>(whole.m * k, 1), b = random_values<T>(k * n, 2),
                 bias = random_values<T>(n, 3);
      std::vector<T> all(whole.m * n);
      gemm(whole, a.data(), b.data(), bias.data(), all.data());
      for (const int64_t rows : {1, 5, 29}) {
        for (const int64_t begin : {0, 1, 77, 121}) {
          INFO("n ", n, " k ", k, " rows ", rows, " from ", begin);
          std::vector<T> part(rows * n);
          gemm(shape(rows, n, k, false, true), a.data() + begin * k, b.data(), bias.data(),
               part.data());
          CHECK(std::memcmp(part.data(), all.data() + begin * n, part.size() * sizeof(T)) == 0);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm in batches, with either side the same for all", T, float, double) {
  for (const int shared : {0, 1, 2}) {  // none, A, B
    GemmShape s = shape(17, 33, 40, false, true);
    s.batch = 6;
    s.stride_a = shared == 1 ? 0 : s.m * s.k, s.stride_b = shared == 2 ? 0 : s.k * s.n,
    s.stride_c = s.m * s.n;
    const auto a = random_values<T>(s.m * s.k * s.batch, 1),
               b = random_values<T>(s.k * s.n * s.batch, 2), bias = random_values<T>(s.n, 3);
    std::vector<T> expected(s.m * s.n * s.batch), found(expected.size());
    multiply_by_definition(s, a.data(), b.data(), bias.data(), expected.data(), fuses(isa()));
    gemm(s, a.data(), b.data(), bias.data(), found.data());
    CHECK(same_bits(found, expected));
    if (shared == 2) {
      Aligned packed(packed_b_bytes<T>(s));
      pack_b(s, b.data(), packed.memory.get());
      std::fill(found.begin(), found.end(), T(-1));
      gemm_packed(s, a.data(), packed.memory.get(), bias.data(), found.data());
      CHECK(same_bits(found, expected));
    }
  }
}

TEST_CASE_TEMPLATE("gemm with a size of zero", T, float, double) {
  const T a[4] = {1, 2, 3, 4}, bias[3] = {5, 6, 7};
  std::vector<T> c(6, T(9));
  gemm<T>(shape(2, 3, 0, false, false), a, a, bias, c.data());
  CHECK(c == std::vector<T>{5, 6, 7, 5, 6, 7});
  gemm<T>(shape(2, 3, 0, false, false), a, a, nullptr, c.data());
  CHECK(c == std::vector<T>(6, T(0)));
  std::fill(c.begin(), c.end(), T(9));
  GemmShape nothing_added = shape(2, 3, 0, false, false);
  nothing_added.accumulate = true;
  gemm<T>(nothing_added, a, a, nullptr, c.data());
  gemm<T>(shape(0, 3, 2, false, false), a, a, nullptr, c.data());
  gemm<T>(shape(2, 0, 2, false, false), a, a, nullptr, c.data());
  CHECK(c == std::vector<T>(6, T(9)));
  CHECK(packed_b_bytes<T>(shape(2, 0, 2, false, false)) == 0);
}

TEST_CASE_TEMPLATE("gemm writes its result only, and keeps infinities to their rows", T, float,
                   double) {
  // Columns past the end are computed in vectors and dropped: they must not show.
  GemmShape s = shape(5, 3, 20, false, false);
  s.ldc = 8;
  auto a = random_values<T>(s.m * s.k, 1);
  const auto b = random_values<T>(s.k * s.n, 2);
  a[2 * s.k + 4] = std::numeric_limits<T>::infinity();
  std::vector<T> c(s.m * s.ldc, T(7));
  gemm<T>(s, a.data(), b.data(), nullptr, c.data());
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.ldc; ++j) {
      INFO("row ", i, " column ", j);
      if (j >= s.n) {
        CHECK(c[i * s.ldc + j] == T(7));
      } else {
        CHECK(std::isfinite(c[i * s.ldc + j]) == (i != 2));
      }
    }
  }
}

TEST_CASE("parallel_for runs every task once, in slots below the limit, and passes exceptions on") {
  const Threads scope(4);
  std::vector<int> runs(101), slot(101);
  parallel_for(
      101, 1e9, [&](int64_t task, int s) { ++runs[task], slot[task] = s; }, 3);
  for (int64_t task = 0; task < 101; ++task) {
    CHECK(runs[task] == 1);
    CHECK(slot[task] < 3);
    if (task > 0) CHECK(slot[task] >= slot[task - 1]);  // contiguous runs
  }
  CHECK(slot[100] > 0);
  CHECK_THROWS_AS(parallel_for(8, 1e9,
                               [](int64_t task) {
                                 if (task == 5) throw 42;
                               }),
                  int);
  parallel_for(101, 1.0, [&](int64_t task, int s) { slot[task] = s; });  // too little work
  CHECK(slot[100] == 0);
  CHECK_THROWS(set_threads(0));
  CHECK(thread_slots() >= 4);
}

}  // namespace
