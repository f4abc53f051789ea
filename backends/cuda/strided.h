// Layouts for kernels: axes merged where memory allows, and the way from a number to its places.
#pragma once

#include <array>

#include "backends/cuda/api.h"
#include "core/error.h"
#include "core/shape.h"

namespace slope::cuda {

// The axes that n tensors of one shape are walked along, the last one fastest.
template <int n>
struct Walk {
  int rank = 0;
  uint32_t lengths[kMaxRank] = {};
  int64_t strides[n][kMaxRank] = {};

  // The places, in values, of item number `flat` of a row-major count.
#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)
  SLOPE_DEVICE void places(int64_t flat, int64_t* at) const {
    for (int k = 0; k < n; ++k) at[k] = 0;
    uint32_t rest = static_cast<uint32_t>(flat);
    for (int axis = rank - 1; axis >= 0; --axis) {
      // The first axis needs no division: what is left is its coordinate.
      const uint32_t above = axis == 0 ? 0 : rest / lengths[axis];
      const uint32_t coordinate = rest - above * lengths[axis];
      for (int k = 0; k < n; ++k) at[k] += coordinate * strides[k][axis];
      rest = above;
    }
  }
#endif
};

// Counts in kernels that divide are 32 bits wide.
inline void check_count(const char* op, int64_t values) {
  if (values < int64_t{1} << 31) return;
  throw ShapeError(concat(op, ": ", values, " values in one tensor; the cuda backend takes fewer ",
                          "than 2147483648. Use smaller batches."));
}

// strides[k]: of tensor k, 0 where it is broadcast.
template <int n>
Walk<n> walk_over(const char* op, const Shape& shape, const std::array<Strides, n>& strides) {
  check_count(op, shape.size());
  Walk<n> walk;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    bool merges = walk.rank > 0;
    for (int k = 0; k < n && merges; ++k) {
      const auto& s = strides[static_cast<size_t>(k)];
      merges = walk.strides[k][walk.rank - 1] == shape[axis] * s[axis];
    }
    if (!merges) ++walk.rank;
    uint32_t& length = walk.lengths[walk.rank - 1];
    length = (merges ? length : 1) * static_cast<uint32_t>(shape[axis]);
    for (int k = 0; k < n; ++k) {
      walk.strides[k][walk.rank - 1] = strides[static_cast<size_t>(k)][axis];
    }
  }
  return walk;
}

}  // namespace slope::cuda
