// Runge-Kutta combinations and the scaled error norm.
#include "core/ops/solver.h"

#include "backends/cuda/context.h"
#include "backends/cuda/reduction.h"
#include "backends/cuda/strided.h"
#include "core/ops/scalar.h"

namespace slope::cuda {
namespace {

template <typename T>
struct Combination {
  const T* y;  // null: zero
  const T* h;  // null: one
  const T* slopes[kMaxStages];
  T* out;
  int slope_count;
  int64_t size;
  int64_t values_per_h;  // consecutive values that share one h; 0: all do
  double coefficients[kMaxStages];
  const T* trainable;  // coefficients on the device instead, or null
  int32_t places[kMaxStages];
};

template <typename T>
__global__ void rk_combine_kernel(Combination<T> c) {
  double coefficients[kMaxStages];
  for (int s = 0; s < kMaxStages; ++s) {
    coefficients[s] = c.trainable && s < c.slope_count
                          ? static_cast<double>(c.trainable[c.places[s]])
                          : c.coefficients[s];
  }
  for (int64_t i = thread_of_grid(); i < c.size; i += threads_of_grid()) {
    double total = 0;
    // Bounds known to the compiler keep the coefficients in registers.
    for (int s = 0; s < kMaxStages; ++s) {
      if (s < c.slope_count) total += coefficients[s] * static_cast<double>(c.slopes[s][i]);
    }
    if (c.h) {
      const int64_t sample = c.values_per_h == 0
                                 ? 0
                                 : static_cast<uint32_t>(i) / static_cast<uint32_t>(c.values_per_h);
      total *= static_cast<double>(c.h[sample]);
    }
    c.out[i] = static_cast<T>(c.y ? static_cast<double>(c.y[i]) + total : total);
  }
}

// What does not change between runs. first: the number of the first slope among the arguments.
template <typename T>
std::unique_ptr<Prepared> combine(const Launcher& at, const RkCombineSizes& sizes,
                                  const Combination<T>& fixed, int first) {
  const bool trainable = first == 3;
  return prepared([=](const Argument* args, void*) {
    Combination<T> c = fixed;
    c.y = data<T>(args[0]);
    c.h = data<T>(args[1]);
    c.trainable = trainable ? data<T>(args[2]) : nullptr;
    c.slope_count = static_cast<int>(sizes.slopes);
    for (int s = 0; s < c.slope_count; ++s) c.slopes[s] = data<T>(args[first + s]);
    c.out = data<T>(args[first + c.slope_count]);
    c.size = sizes.steps * sizes.values;
    c.values_per_h = sizes.steps == 1 ? 0 : sizes.values;
    launch(at, grid_for(c.size), rk_combine_kernel<T>, c);
  });
}

std::unique_ptr<Prepared> prepare_combine(const Context& context, const Call& call) {
  const RkCombineSizes sizes = rk_combine_sizes(call.in(1), call.inputs.subspan(2));
  const auto coefficients = call.as<RkCombineAttributes>().coefficients;
  check_count(call.op.name, call.in(2).size());
  return dispatch_float(call.in(2).dtype(), [&]<typename T>() {
    Combination<T> fixed{};
    for (int s = 0; s < kMaxStages; ++s)
      fixed.coefficients[s] = coefficients[static_cast<size_t>(s)];
    return combine<T>(context.launcher(call.op.name), sizes, fixed, 2);
  });
}

std::unique_ptr<Prepared> prepare_combine_trainable(const Context& context, const Call& call) {
  const RkCombineSizes sizes = rk_combine_sizes(call.in(1), call.inputs.subspan(3));
  const auto places = call.as<RkCombineTrainableAttributes>().places;
  check_count(call.op.name, call.in(3).size());
  return dispatch_float(call.in(3).dtype(), [&]<typename T>() {
    Combination<T> fixed{};
    for (int s = 0; s < kMaxStages; ++s) {
      fixed.places[s] = static_cast<int32_t>(places[static_cast<size_t>(s)]);
    }
    return combine<T>(context.launcher(call.op.name), sizes, fixed, 3);
  });
}

// The root of the mean square of the scaled errors.
struct RootMeanSquare : Sum {
  double count;
  SLOPE_DEVICE double lift(double x) const { return x * x; }
  SLOPE_DEVICE double finish(double total) const { return ::sqrt(total / count); }
};

template <typename T>
struct ScaledError {
  const T *e, *y0, *y1;
  int64_t values;
  double atol, rtol;
  SLOPE_DEVICE double operator()(int64_t row, int64_t i) const {
    const int64_t at = row * values + i;
    const double a = math::abs(static_cast<double>(y0[at]));
    const double b = math::abs(static_cast<double>(y1[at]));
    return static_cast<double>(e[at]) / (atol + rtol * math::maximum(a, b));  // NaN if either is
  }
};

std::unique_ptr<Prepared> prepare_error_norm(const Context& context, const Call& call) {
  const auto a = call.as<ErrorNormAttributes>();
  const int64_t rows = a.per_sample ? call.in(0).dim(0) : 1;
  const int64_t values = rows == 0 ? 0 : call.in(0).size() / rows;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          const ScaledError<T> load{data<T>(args[0]), data<T>(args[1]), data<T>(args[2]),
                                    values,           a.atol,           a.rtol};
          RootMeanSquare rule{};
          rule.count = static_cast<double>(values);
          reduce_rows(at, rule, load, data<T>(args[3]), static_cast<double*>(scratch), rows,
                      values);
        },
        bytes_of_doubles(row_partials(rows, values)));
  });
}

}  // namespace

void add_solver(KernelTable& table) {
  table["rk_combine"] = prepare_combine;
  table["rk_combine_trainable"] = prepare_combine_trainable;
  table["error_norm"] = prepare_error_norm;
}

}  // namespace slope::cuda
