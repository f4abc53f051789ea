// Reductions over any axes.
#include "core/ops/reduce.h"

#include <cmath>

#include "backends/cuda/context.h"
#include "backends/cuda/reduction.h"
#include "backends/cuda/strided.h"

namespace slope::cuda {
namespace {

struct Norm : Sum {
  SLOPE_DEVICE double lift(double x) const { return x * x; }
  SLOPE_DEVICE double finish(double total) const { return ::sqrt(total); }
};
// NaN wins: a comparison with it is false, whichever side it is on.
struct Max : Sum {
  SLOPE_DEVICE double start() const { return -HUGE_VAL; }
  SLOPE_DEVICE double combine(double a, double b) const { return a >= b || a != a ? a : b; }
};
struct Min : Sum {
  SLOPE_DEVICE double start() const { return HUGE_VAL; }
  SLOPE_DEVICE double combine(double a, double b) const { return a <= b || a != a ? a : b; }
};

// Value i of a result: the axes that stay lead to the result's first value, the others from there.
template <typename T>
struct AxesLoader {
  const T* x;
  Walk<1> kept, reduced;
  SLOPE_DEVICE double operator()(int64_t result, int64_t i) const {
    int64_t first, step;
    kept.places(result, &first);
    reduced.places(i, &step);
    return static_cast<double>(x[first + step]);
  }
};

template <typename Rule>
std::unique_ptr<Prepared> prepare_reduce(const Context& context, const Call& call) {
  const Shape& shape = call.in(0).shape();
  const Axes axes = call.as<ReduceAttributes>().axes;
  const Strides strides = contiguous_strides(shape);
  Shape kept, reduced;
  Strides kept_strides, reduced_strides;
  bool columns = false;  // the last axis longer than 1 stays
  for (int i = 0, next = 0; i < shape.rank(); ++i) {
    const bool is_reduced = next < axes.rank() && axes[next] == i;
    next += is_reduced;
    (is_reduced ? reduced : kept).push_back(shape[i]);
    (is_reduced ? reduced_strides : kept_strides).push_back(strides[i]);
    if (shape[i] > 1) columns = !is_reduced;
  }
  const int64_t results = kept.size(), length = reduced.size();
  check_count(call.op.name, shape.size());
  const Walk<1> kept_walk = walk_over<1>(call.op.name, kept, {kept_strides});
  const Walk<1> reduced_walk = walk_over<1>(call.op.name, reduced, {reduced_strides});
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          const AxesLoader<T> load{data<T>(args[0]), kept_walk, reduced_walk};
          (columns ? reduce_columns<Rule, AxesLoader<T>, T>
                   : reduce_rows<Rule, AxesLoader<T>, T>)(at, Rule{}, load, data<T>(args[1]),
                                                          static_cast<double*>(scratch), results,
                                                          length);
        },
        bytes_of_doubles(columns ? column_partials(results, length)
                                 : row_partials(results, length)));
  });
}

// x: (outer, length, inner) -> out: (outer, inner), results of them: the first largest, NaN first
// of all
template <typename T>
__global__ void argmax_kernel(const T* x, int32_t* out, int64_t results, int64_t length,
                              int64_t inner) {
  for (int64_t i = thread_of_grid(); i < results; i += threads_of_grid()) {
    const T* values = x + i / inner * length * inner + i % inner;
    int64_t best = 0;
    T largest = values[0];
    for (int64_t k = 1; k < length; ++k) {
      const T value = values[k * inner];
      if (value > largest || (value != value && largest == largest)) {
        best = k;
        largest = value;
      }
    }
    out[i] = static_cast<int32_t>(best);
  }
}

std::unique_ptr<Prepared> prepare_argmax(const Context& context, const Call& call) {
  const Shape& shape = call.in(0).shape();
  const int axis = static_cast<int>(call.as<ArgmaxAttributes>().axis);
  const int64_t length = shape[axis];
  const int64_t inner = contiguous_strides(shape)[axis];
  int64_t results = inner;
  for (int i = 0; i < axis; ++i) results *= shape[i];
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(results), argmax_kernel<T>, data<T>(args[0]), data<int32_t>(args[1]),
             results, length, inner);
    });
  });
}

}  // namespace

void add_reduce(KernelTable& table) {
  table["sum"] = prepare_reduce<Sum>;
  table["norm"] = prepare_reduce<Norm>;
  table["max"] = prepare_reduce<Max>;
  table["min"] = prepare_reduce<Min>;
  table["argmax"] = prepare_argmax;
}

}  // namespace slope::cuda
