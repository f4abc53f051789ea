#include "backends/cpu/reduce_kernel.h"

#include "core/ops/scalar.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

// What a reduction starts from, makes of a value, joins two partial results to, and makes of the
// last one. Partial is the type of partial results.
template <typename T>
struct Sum {
  using Partial = double;
  static constexpr Partial start = 0;
  static Partial from(T x) { return static_cast<Partial>(x); }
  static Partial join(Partial a, Partial b) { return a + b; }
  static T finish(Partial total) { return static_cast<T>(total); }
};
template <typename T>
struct Norm : Sum<T> {
  static double from(T x) { return static_cast<double>(x) * static_cast<double>(x); }
  static T finish(double total) { return static_cast<T>(__builtin_sqrt(total)); }
};
// NaN wins, whichever side it is on.
template <typename T>
struct Max {
  using Partial = T;
  static constexpr Partial start = -static_cast<T>(__builtin_inf());
  static Partial from(T x) { return x; }
  static Partial join(Partial a, Partial b) { return math::maximum(a, b); }
  static T finish(Partial largest) { return largest; }
};
template <typename T>
struct Min : Max<T> {
  static constexpr T start = static_cast<T>(__builtin_inf());
  static T join(T a, T b) { return math::minimum(a, b); }
};

// The same rule where the values are partial results already, or where they stay partial results.
template <typename Rule>
struct FromPartial : Rule {
  static typename Rule::Partial from(typename Rule::Partial x) { return x; }
};
template <typename Rule>
struct ToPartial : Rule {
  static typename Rule::Partial finish(typename Rule::Partial x) { return x; }
};

constexpr int64_t kLanes = 64;

// lanes[j] becomes lanes[j] joined with x[row * stride + j] of all rows, four rows at a time. Width
// is a number, or a constant where the compiler may know it.
template <typename Rule, typename In, typename Width>
[[gnu::always_inline]] inline void add_rows(const In* x, int64_t rows, int64_t stride, Width width,
                                            typename Rule::Partial* __restrict__ lanes) {
  using Partial = typename Rule::Partial;
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    const In *a = x + row * stride, *b = a + stride, *c = b + stride, *d = c + stride;
    for (int64_t j = 0; j < width; ++j) {
      const Partial ab = Rule::join(Rule::from(a[j]), Rule::from(b[j]));
      const Partial cd = Rule::join(Rule::from(c[j]), Rule::from(d[j]));
      lanes[j] = Rule::join(lanes[j], Rule::join(ab, cd));
    }
  }
  for (; row < rows; ++row) {
    const In* a = x + row * stride;
    for (int64_t j = 0; j < width; ++j) lanes[j] = Rule::join(lanes[j], Rule::from(a[j]));
  }
}

struct AllLanes {
  constexpr operator int64_t() const { return kLanes; }
};

// All of n values that lie side by side.
template <typename Rule, typename In>
[[gnu::always_inline]] inline typename Rule::Partial reduce_run(const In* x, int64_t n) {
  using Partial = typename Rule::Partial;
  if (n < kLanes) {
    Partial four[4] = {Rule::start, Rule::start, Rule::start, Rule::start};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      for (int j = 0; j < 4; ++j) four[j] = Rule::join(four[j], Rule::from(x[i + j]));
    }
    for (int j = 0; i + j < n; ++j) four[j] = Rule::join(four[j], Rule::from(x[i + j]));
    return Rule::join(Rule::join(four[0], four[2]), Rule::join(four[1], four[3]));
  }
  alignas(64) Partial lanes[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Rule::start;
  const int64_t rows = n / kLanes;
  add_rows<Rule>(x, rows, kLanes, AllLanes{}, lanes);
  add_rows<Rule>(x + rows * kLanes, 1, 0, n % kLanes, lanes);
#pragma GCC unroll 6
  for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lanes[j] = Rule::join(lanes[j], lanes[j + half]);
  }
  return lanes[0];
}

// One item: rows x columns values, rows `stride` apart -> columns results.
template <typename Rule, typename In, typename Out>
[[gnu::always_inline]] inline void reduce_item(const In* x, int64_t rows, int64_t columns,
                                               int64_t stride, Out* out) {
  if (stride == 1) {
    *out = Rule::finish(reduce_run<Rule>(x, rows));
    return;
  }
  alignas(64) typename Rule::Partial lanes[kMaxColumns];
  // Narrow rows that lie side by side are taken `together` at a time, for the vectors' sake.
  int64_t together = columns == stride && columns < kLanes ? kLanes / columns : 1;
  if (together > rows) together = 1;
  const int64_t width = together * columns, wide_rows = rows / together;
  for (int64_t j = 0; j < width; ++j) lanes[j] = Rule::start;
  if (width == kLanes) {
    add_rows<Rule>(x, wide_rows, together * stride, AllLanes{}, lanes);
  } else {
    add_rows<Rule>(x, wide_rows, together * stride, width, lanes);
  }
  add_rows<Rule>(x + wide_rows * together * stride, 1, 0, rows % together * columns, lanes);
  while (together > 1) {  // the upper half of the lanes onto the lower one
    const int64_t kept = (together + 1) / 2, moved = (together - kept) * columns;
    for (int64_t j = 0; j < moved; ++j) {
      lanes[j] = Rule::join(lanes[j], lanes[kept * columns + j]);
    }
    together = kept;
  }
  for (int64_t j = 0; j < columns; ++j) out[j] = Rule::finish(lanes[j]);
}

template <typename Rule, typename In, typename Out>
void reduce_items(const ReduceLevel& z, int64_t begin, int64_t end, const void* in, void* out) {
  int64_t block = begin % z.blocks, chunk = begin / z.blocks % z.chunks;
  int64_t outer = begin / z.blocks / z.chunks;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t row = chunk * z.chunk, column = block * z.columns;
    const int64_t rows = z.length - row < z.chunk ? z.length - row : z.chunk;
    const int64_t columns = z.inner - column < z.columns ? z.inner - column : z.columns;
    reduce_item<Rule>(static_cast<const In*>(in) + (outer * z.length + row) * z.inner + column,
                      rows, columns, z.inner,
                      static_cast<Out*>(out) + (outer * z.chunks + chunk) * z.inner + column);
    if (++block < z.blocks) continue;
    block = 0;
    if (++chunk < z.chunks) continue;
    chunk = 0;
    ++outer;
  }
}

template <template <typename> typename Rule, typename T>
constexpr ReduceKernels kernels(const char* name) {
  using R = Rule<T>;
  using Partial = typename R::Partial;
  return {name,
          reduce_items<R, T, T>,
          reduce_items<ToPartial<R>, T, Partial>,
          reduce_items<ToPartial<FromPartial<R>>, Partial, Partial>,
          reduce_items<FromPartial<R>, Partial, T>,
          sizeof(Partial)};
}

}  // namespace

const ReduceKernels kReduceFloat[] = {kernels<Sum, float>("sum"), kernels<Norm, float>("norm"),
                                      kernels<Max, float>("max"), kernels<Min, float>("min"),
                                      ReduceKernels{}};
const ReduceKernels kReduceDouble[] = {kernels<Sum, double>("sum"), kernels<Norm, double>("norm"),
                                       kernels<Max, double>("max"), kernels<Min, double>("min"),
                                       ReduceKernels{}};

}  // namespace slope::cpu::SLOPE_ISA
