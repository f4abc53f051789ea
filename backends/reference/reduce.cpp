// Reductions: each result gathers its values in row-major order.
#include <cmath>
#include <limits>

#include "backends/reference/reference.h"
#include "backends/reference/walk.h"
#include "core/ops/reduce.h"

namespace slope::reference {
namespace {

// The axes of x that stay and those that are reduced, each with their strides.
struct Split {
  Shape kept, reduced;
  Strides kept_strides, reduced_strides;
};

Split split_axes(const Shape& shape, const Axes& axes) {
  const Strides strides = contiguous_strides(shape);
  Split split;
  for (int i = 0, next = 0; i < shape.rank(); ++i) {
    const bool reduced = next < axes.rank() && axes[next] == i;
    next += reduced;
    (reduced ? split.reduced : split.kept).push_back(shape[i]);
    (reduced ? split.reduced_strides : split.kept_strides).push_back(strides[i]);
  }
  return split;
}

// Sums and norms add up in double, whatever the dtype.
struct Sum {
  double start = 0;
  static double add(double so_far, double x) { return so_far + x; }
  static double finish(double total) { return total; }
};
struct Norm {
  double start = 0;
  static double add(double so_far, double x) { return so_far + x * x; }
  static double finish(double total) { return std::sqrt(total); }
};
// NaN wins: a comparison with it is false, whichever side it is on.
struct Max {
  double start = -std::numeric_limits<double>::infinity();
  static double add(double so_far, double x) {
    return so_far >= x || std::isnan(so_far) ? so_far : x;
  }
  static double finish(double largest) { return largest; }
};
struct Min {
  double start = std::numeric_limits<double>::infinity();
  static double add(double so_far, double x) {
    return so_far <= x || std::isnan(so_far) ? so_far : x;
  }
  static double finish(double smallest) { return smallest; }
};

template <typename Rule>
std::unique_ptr<Prepared> reduce(const Call& call) {
  const Split split = split_axes(call.in(0).shape(), call.as<ReduceAttributes>().axes);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* x = data<T>(arguments[0]);
      T* out = data<T>(arguments[1]);
      walk<1>(split.kept, {split.kept_strides}, [&](const auto& kept) {
        double so_far = Rule{}.start;
        walk<1>(split.reduced, {split.reduced_strides}, [&](const auto& reduced) {
          so_far = Rule::add(so_far, static_cast<double>(x[kept[0] + reduced[0]]));
        });
        *out++ = static_cast<T>(Rule::finish(so_far));
      });
    });
  });
}

std::unique_ptr<Prepared> argmax(const Call& call) {
  const Shape shape = call.in(0).shape();
  const int axis = static_cast<int>(call.as<ArgmaxAttributes>().axis);
  const int64_t length = shape[axis], stride = contiguous_strides(shape)[axis];
  const Split split = split_axes(shape, {axis});
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* arguments, void*) {
      const T* x = data<T>(arguments[0]);
      int32_t* out = data<int32_t>(arguments[1]);
      walk<1>(split.kept, {split.kept_strides}, [&](const auto& kept) {
        const T* values = x + kept[0];
        int64_t best = 0;
        for (int64_t i = 1; i < length; ++i) {
          const T value = values[i * stride], largest = values[best * stride];
          if (value > largest || (std::isnan(value) && !std::isnan(largest))) best = i;
        }
        *out++ = static_cast<int32_t>(best);
      });
    });
  });
}

}  // namespace

void add_reduce(KernelTable& table) {
  table["sum"] = reduce<Sum>;
  table["norm"] = reduce<Norm>;
  table["max"] = reduce<Max>;
  table["min"] = reduce<Min>;
  table["argmax"] = argmax;
}

}  // namespace slope::reference
