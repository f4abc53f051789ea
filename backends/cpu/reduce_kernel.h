// The loops of reductions, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace slope::cpu {

// One level of a reduction: (outer, length, inner) -> (outer, chunks, inner). Each result combines
// `chunk` values along `length`, the last of them maybe fewer. An item is the results of one
// outer place, one chunk and one block of neighbouring columns. All of this is chosen from the
// sizes of the problem, so the order of a sum is too.
struct ReduceLevel {
  int64_t outer = 1, length = 0, inner = 1;
  int64_t chunk = 0, chunks = 1;
  int64_t columns = 1, blocks = 1;

  int64_t items() const { return outer * chunks * blocks; }
  int64_t results() const { return outer * chunks * inner; }
};

// Columns of one item: their running results stay in the first-level cache.
constexpr int64_t kMaxColumns = 512;

// Works on items begin..end-1.
using ReduceItems = void (*)(const ReduceLevel& level, int64_t begin, int64_t end, const void* in,
                             void* out);

// A reduction of values of T. Between its levels, partial results are double for sums and norms, so
// that float32 sums lose nothing, and T for max and min.
struct ReduceKernels {
  const char* name = nullptr;
  ReduceItems whole = nullptr;   // the only level: T -> T
  ReduceItems first = nullptr;   // T -> partial
  ReduceItems middle = nullptr;  // partial -> partial
  ReduceItems last = nullptr;    // partial -> T
  int64_t partial_bytes = 0;
};

// sum, norm, max, min; the list ends with a null name.
#define SLOPE_DECLARE_REDUCE_KERNELS(set)     \
  namespace set {                             \
  extern const ReduceKernels kReduceFloat[];  \
  extern const ReduceKernels kReduceDouble[]; \
  }
SLOPE_DECLARE_REDUCE_KERNELS(generic)
#ifdef SLOPE_X86
SLOPE_DECLARE_REDUCE_KERNELS(avx2)
SLOPE_DECLARE_REDUCE_KERNELS(avx512)
#endif
#undef SLOPE_DECLARE_REDUCE_KERNELS

}  // namespace slope::cpu
