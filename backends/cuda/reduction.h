// Reductions with a fixed tree: the order of every sum follows from the shape alone, so each run
// gives the same bits. Partial results are doubles, whatever the dtype.
//
// A rule says how values meet:     start(), lift(x), combine(a, b), finish(total)
// A loader says where they are:    load(result, i) -> double
#pragma once

#include <algorithm>

#include "backends/cuda/api.h"

namespace slope::cuda {

constexpr int kWarpsPerBlock = kThreads / kWarp;

struct Sum {
  SLOPE_DEVICE double start() const { return 0; }
  SLOPE_DEVICE double lift(double x) const { return x; }
  SLOPE_DEVICE double combine(double a, double b) const { return a + b; }
  SLOPE_DEVICE double finish(double total) const { return total; }
};

// Where results go: to `out` when one block sees a whole result, else its parts to `partials`,
// which another kernel puts together. partials: (results, splits)
template <typename T>
struct ReductionResults {
  T* out;
  double* partials;
  int64_t splits;
};

#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)

// The values of all threads of a warp, of a block: every thread calls it and gets the result.
template <typename Rule>
SLOPE_DEVICE double reduce_warp(const Rule& rule, double mine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    mine = rule.combine(mine, __shfl_xor_sync(kFullMask, mine, distance));
  }
  return mine;
}
template <typename Rule>
SLOPE_DEVICE double reduce_block(const Rule& rule, double mine) {
  SLOPE_SHARED(double, of_warp, kWarpsPerBlock);
  mine = reduce_warp(rule, mine);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = mine;
  SLOPE_BARRIER();
  double total = of_warp[0];
  for (int i = 1; i < kWarpsPerBlock; ++i) total = rule.combine(total, of_warp[i]);
  SLOPE_BARRIER();  // before the next call writes
  return total;
}

template <typename Rule, typename T>
SLOPE_DEVICE void store_result(const Rule& rule, const ReductionResults<T>& to, int64_t result,
                               int64_t split, double total) {
  if (to.splits == 1) {
    to.out[result] = static_cast<T>(rule.finish(total));
  } else {
    to.partials[result * to.splits + split] = total;
  }
}

// The values of a result lie side by side: a warp, or a block, for each part of a result.
template <bool by_block, typename Rule, typename Loader, typename T>
__global__ void reduce_rows_kernel(Rule rule, Loader load, ReductionResults<T> to, int64_t rows,
                                   int64_t length) {
  constexpr int width = by_block ? kThreads : kWarp;
  const int64_t part = (length + to.splits - 1) / to.splits;
  const int64_t groups = threads_of_grid() / width;
  for (int64_t group = thread_of_grid() / width; group < rows * to.splits; group += groups) {
    const int64_t row = group / to.splits, split = group % to.splits;
    const int64_t end = (split + 1) * part < length ? (split + 1) * part : length;
    double mine = rule.start();
    for (int64_t i = split * part + threadIdx.x % width; i < end; i += width) {
      mine = rule.combine(mine, rule.lift(load(row, i)));
    }
    const double total = by_block ? reduce_block(rule, mine) : reduce_warp(rule, mine);
    if (threadIdx.x % width == 0) store_result(rule, to, row, split, total);
  }
}

// Neighbouring results lie side by side: each block takes 32 of them, a warp reads a value of each.
template <typename Rule, typename Loader, typename T>
__global__ void reduce_columns_kernel(Rule rule, Loader load, ReductionResults<T> to,
                                      int64_t columns, int64_t length) {
  SLOPE_SHARED(double, of_thread, kThreads);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const int64_t part = (length + to.splits - 1) / to.splits;
  const int64_t split = blockIdx.y;
  const int64_t end = (split + 1) * part < length ? (split + 1) * part : length;
  double total = rule.start();
  if (column < columns) {
    for (int64_t i = split * part + warp; i < end; i += kWarpsPerBlock) {
      total = rule.combine(total, rule.lift(load(column, i)));
    }
  }
  of_thread[threadIdx.x] = total;
  SLOPE_BARRIER();
  if (warp == 0 && column < columns) {
    for (int w = 1; w < kWarpsPerBlock; ++w) {
      total = rule.combine(total, of_thread[w * kWarp + lane]);
    }
    store_result(rule, to, column, split, total);
  }
}

template <typename Rule, typename T>
__global__ void finish_kernel(Rule rule, ReductionResults<T> to, int64_t results) {
  for (int64_t i = thread_of_grid(); i < results; i += threads_of_grid()) {
    double total = rule.start();
    for (int64_t s = 0; s < to.splits; ++s) {
      total = rule.combine(total, to.partials[i * to.splits + s]);
    }
    to.out[i] = static_cast<T>(rule.finish(total));
  }
}

// How often a result of `length` values is split when `blocks` blocks would work otherwise: until a
// large GPU is busy, but no part smaller than `smallest`.
inline int64_t reduction_splits(int64_t blocks, int64_t length, int64_t smallest) {
  constexpr int64_t kBusy = 1024;
  return std::max<int64_t>(1, std::min(kBusy / std::max<int64_t>(1, blocks), length / smallest));
}
inline int64_t row_splits(int64_t rows, int64_t length) {
  return reduction_splits(rows, length, 8 * kThreads);
}
inline int64_t column_splits(int64_t columns, int64_t length) {
  return reduction_splits((columns + kWarp - 1) / kWarp, length, 8 * kWarpsPerBlock);
}
// Doubles of scratch memory that the functions below want.
inline int64_t row_partials(int64_t rows, int64_t length) {
  return rows * row_splits(rows, length);
}
inline int64_t column_partials(int64_t columns, int64_t length) {
  return columns * column_splits(columns, length);
}

// out[row] = rule over i of load(row, i)
template <typename Rule, typename Loader, typename T>
void reduce_rows(const Launcher& at, const Rule& rule, const Loader& load, T* out, double* partials,
                 int64_t rows, int64_t length) {
  const ReductionResults<T> to{out, partials, row_splits(rows, length)};
  if (length <= kThreads) {
    launch(at, grid_for(rows * kWarp), reduce_rows_kernel<false, Rule, Loader, T>, rule, load, to,
           rows, length);
  } else {
    launch(at, grid_for(rows * to.splits * kThreads), reduce_rows_kernel<true, Rule, Loader, T>,
           rule, load, to, rows, length);
  }
  if (to.splits > 1) launch(at, grid_for(rows), finish_kernel<Rule, T>, rule, to, rows);
}

// out[column] = rule over i of load(column, i)
template <typename Rule, typename Loader, typename T>
void reduce_columns(const Launcher& at, const Rule& rule, const Loader& load, T* out,
                    double* partials, int64_t columns, int64_t length) {
  const ReductionResults<T> to{out, partials, column_splits(columns, length)};
  const Grid grid{static_cast<unsigned>((columns + kWarp - 1) / kWarp),
                  static_cast<unsigned>(to.splits)};
  launch(at, grid, reduce_columns_kernel<Rule, Loader, T>, rule, load, to, columns, length);
  if (to.splits > 1) launch(at, grid_for(columns), finish_kernel<Rule, T>, rule, to, columns);
}

#endif

}  // namespace slope::cuda
