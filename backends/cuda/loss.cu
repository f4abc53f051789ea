// Softmax and cross-entropy: a warp for each row; sums in double.
#include "core/ops/loss.h"

#include "backends/cuda/context.h"
#include "backends/cuda/reduction.h"
#include "core/ops/scalar.h"

namespace slope::cuda {
namespace {

// NaN wins over everything.
struct Largest {
  SLOPE_DEVICE double combine(double a, double b) const { return a >= b || a != a ? a : b; }
};

// log(sum(exp(x))) of a row, without overflow: every lane gets it.
template <typename T>
SLOPE_DEVICE double log_sum_exp(const T* x, int64_t classes) {
  const int lane = threadIdx.x % kWarp;
  double largest = -math::kInfinity<double>;
  for (int64_t i = lane; i < classes; i += kWarp) {
    largest = Largest{}.combine(largest, static_cast<double>(x[i]));
  }
  largest = reduce_warp(Largest{}, largest);
  double sum = 0;
  for (int64_t i = lane; i < classes; i += kWarp) {
    sum += math::exp(static_cast<double>(x[i]) - largest);
  }
  return largest + math::log(reduce_warp(Sum{}, sum));
}

// The rows of this warp: for (row = first_row(); row < rows; row += rows_at_once()).
SLOPE_DEVICE int64_t first_row() { return thread_of_grid() / kWarp; }
SLOPE_DEVICE int64_t rows_at_once() { return threads_of_grid() / kWarp; }

template <bool logarithm, typename T>
__global__ void softmax_kernel(const T* x, T* y, int64_t rows, int64_t classes) {
  for (int64_t row = first_row(); row < rows; row += rows_at_once()) {
    const double total = log_sum_exp(x + row * classes, classes);
    for (int64_t i = threadIdx.x % kWarp; i < classes; i += kWarp) {
      const double log_probability = static_cast<double>(x[row * classes + i]) - total;
      y[row * classes + i] =
          static_cast<T>(logarithm ? log_probability : math::exp(log_probability));
    }
  }
}

template <bool logarithm>
std::unique_ptr<Prepared> prepare_softmax(const Context& context, const Call& call) {
  const int64_t classes = call.in(0).shape().back();
  const int64_t rows = classes == 0 ? 0 : call.in(0).size() / classes;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(rows * kWarp), softmax_kernel<logarithm, T>, data<T>(args[0]),
             data<T>(args[1]), rows, classes);
    });
  });
}

// The probability that the target puts on class i; NaN for a label that is no class.
SLOPE_DEVICE double target_at(int64_t i, int32_t label, int64_t classes, double smoothing) {
  if (label < 0 || label >= classes) return math::kNaN<double>;
  return (i == label ? 1 - smoothing : 0.0) + smoothing / static_cast<double>(classes);
}

// losses: (rows); Loss is double for sums to come, or the result's own type.
template <typename T, typename Loss>
__global__ void cross_entropy_kernel(const T* x, const int32_t* labels, Loss* losses, int64_t rows,
                                     int64_t classes, double smoothing) {
  for (int64_t row = first_row(); row < rows; row += rows_at_once()) {
    const double total = log_sum_exp(x + row * classes, classes);
    double loss = 0;
    for (int64_t i = threadIdx.x % kWarp; i < classes; i += kWarp) {
      const double target = target_at(i, labels[row], classes, smoothing);
      // A class without weight adds nothing, not 0 * infinity.
      if (target != 0) loss += target * (total - static_cast<double>(x[row * classes + i]));
    }
    loss = reduce_warp(Sum{}, loss);
    if (threadIdx.x % kWarp == 0) losses[row] = static_cast<Loss>(loss);
  }
}

struct MeanOrSum : Sum {
  double divisor;
  SLOPE_DEVICE double finish(double total) const { return total / divisor; }
};
struct RowLosses {
  const double* losses;
  SLOPE_DEVICE double operator()(int64_t, int64_t i) const { return losses[i]; }
};

std::unique_ptr<Prepared> prepare_cross_entropy(const Context& context, const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(0).dim(0), classes = call.in(0).dim(1);
  const bool none = options.reduction == Reduction::none;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared(
        [=, at = context.launcher(call.op.name)](const Argument* args, void* scratch) {
          const T* x = data<T>(args[0]);
          const int32_t* labels = data<int32_t>(args[1]);
          const Grid grid = grid_for(rows * kWarp);
          if (none) {
            launch(at, grid, cross_entropy_kernel<T, T>, x, labels, data<T>(args[2]), rows, classes,
                   options.label_smoothing);
            return;
          }
          double* losses = static_cast<double*>(scratch);
          launch(at, grid, cross_entropy_kernel<T, double>, x, labels, losses, rows, classes,
                 options.label_smoothing);
          MeanOrSum rule{};
          rule.divisor = options.reduction == Reduction::mean ? static_cast<double>(rows) : 1;
          reduce_rows(at, rule, RowLosses{losses}, data<T>(args[2]), losses + rows, 1, rows);
        },
        none ? 0 : bytes_of_doubles(rows + row_partials(1, rows)));
  });
}

// g: () or (rows)
template <typename T>
__global__ void cross_entropy_gradient_kernel(const T* g, const T* x, const int32_t* labels, T* dx,
                                              int64_t rows, int64_t classes, double smoothing,
                                              bool g_per_row, double divisor) {
  for (int64_t row = first_row(); row < rows; row += rows_at_once()) {
    const double total = log_sum_exp(x + row * classes, classes);
    const double upstream = static_cast<double>(g[g_per_row ? row : 0]) / divisor;
    for (int64_t i = threadIdx.x % kWarp; i < classes; i += kWarp) {
      const double probability = math::exp(static_cast<double>(x[row * classes + i]) - total);
      const double target = target_at(i, labels[row], classes, smoothing);
      dx[row * classes + i] = static_cast<T>((probability - target) * upstream);
    }
  }
}

std::unique_ptr<Prepared> prepare_cross_entropy_gradient(const Context& context, const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(1).dim(0), classes = call.in(1).dim(1);
  const double divisor = options.reduction == Reduction::mean ? static_cast<double>(rows) : 1;
  return dispatch_float(call.in(1).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(rows * kWarp), cross_entropy_gradient_kernel<T>, data<T>(args[0]),
             data<T>(args[1]), data<int32_t>(args[2]), data<T>(args[3]), rows, classes,
             options.label_smoothing, options.reduction == Reduction::none, divisor);
    });
  });
}

}  // namespace

void add_loss(KernelTable& table) {
  table["softmax"] = prepare_softmax<false>;
  table["log_softmax"] = prepare_softmax<true>;
  table["cross_entropy"] = prepare_cross_entropy;
  table["cross_entropy_gradient"] = prepare_cross_entropy_gradient;
}

}  // namespace slope::cuda
