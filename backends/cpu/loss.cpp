// Softmax and cross-entropy on the cpu, in parts of some rows.
#include "core/ops/loss.h"

#include <algorithm>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/loss_kernel.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {

template <typename T>
const LossKernels<T>& loss_kernels() {
  const auto pick = [](const auto& for_float, const auto& for_double) -> const LossKernels<T>& {
    if constexpr (sizeof(T) == sizeof(float)) {
      return for_float;
    } else {
      return for_double;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kLossFloat, avx512::kLossDouble);
    case Isa::avx2:
      return pick(avx2::kLossFloat, avx2::kLossDouble);
#endif
    default:
      return pick(generic::kLossFloat, generic::kLossDouble);
  }
}

namespace {

// Calls body(first row, number of rows) for parts of about 1024 values.
template <typename Body>
void for_rows(int64_t rows, int64_t classes, Body&& body) {
  constexpr double nanoseconds_per_row = 15,
                   nanoseconds_per_value = 0.5;  // mostly the exponentials
  const int64_t part = std::max<int64_t>(1, 1024 / std::max<int64_t>(1, classes));
  const double cost = static_cast<double>(rows) *
                      (nanoseconds_per_row + nanoseconds_per_value * static_cast<double>(classes));
  parallel_for((rows + part - 1) / part, cost,
               [&](int64_t i) { body(i * part, std::min(part, rows - i * part)); });
}

template <typename T>
using RowFunction = void (*)(int64_t rows, int64_t classes, const T* x, T* y);

template <typename Pick>
std::unique_ptr<Prepared> prepare_rows(const Call& call, Pick&& pick) {
  const int64_t classes = call.in(0).shape().back();
  const int64_t rows = classes == 0 ? 0 : call.in(0).size() / classes;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const RowFunction<T> function = pick(loss_kernels<T>());
    return prepared([=](const Argument* args, void*) {
      for_rows(rows, classes, [&](int64_t first, int64_t count) {
        function(count, classes, data<T>(args[0]) + first * classes,
                 data<T>(args[1]) + first * classes);
      });
    });
  });
}

std::unique_ptr<Prepared> prepare_softmax(const Call& call) {
  return prepare_rows(call, [](const auto& kernels) { return kernels.softmax; });
}

std::unique_ptr<Prepared> prepare_log_softmax(const Call& call) {
  return prepare_rows(call, [](const auto& kernels) { return kernels.log_softmax; });
}

std::unique_ptr<Prepared> prepare_cross_entropy(const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(0).dim(0), classes = call.in(0).dim(1);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const LossKernels<T>* k = &loss_kernels<T>();
    return prepared(
        [=](const Argument* args, void* scratch) {
          double* losses = static_cast<double*>(scratch);
          for_rows(rows, classes, [&](int64_t first, int64_t count) {
            k->cross_entropy(count, classes, data<T>(args[0]) + first * classes,
                             data<int32_t>(args[1]) + first, options.label_smoothing,
                             losses + first);
          });
          T* out = data<T>(args[2]);
          if (options.reduction == Reduction::none) {
            std::transform(losses, losses + rows, out,
                           [](double loss) { return static_cast<T>(loss); });
            return;
          }
          double sum = 0;
          for (int64_t r = 0; r < rows; ++r) sum += losses[r];
          if (options.reduction == Reduction::mean) sum /= static_cast<double>(rows);
          *out = static_cast<T>(sum);
        },
        static_cast<size_t>(rows) * sizeof(double));
  });
}

std::unique_ptr<Prepared> prepare_cross_entropy_gradient(const Call& call) {
  const auto options = call.as<CrossEntropyOptions>();
  const int64_t rows = call.in(1).dim(0), classes = call.in(1).dim(1);
  const int64_t g_stride = options.reduction == Reduction::none ? 1 : 0;
  const double share = options.reduction == Reduction::mean ? 1 / static_cast<double>(rows) : 1.0;
  return dispatch_float(call.in(1).dtype(), [&]<typename T>() {
    const LossKernels<T>* k = &loss_kernels<T>();
    return prepared([=](const Argument* args, void*) {
      for_rows(rows, classes, [&](int64_t first, int64_t count) {
        k->cross_entropy_gradient(count, classes, data<T>(args[0]) + first * g_stride, g_stride,
                                  share, data<T>(args[1]) + first * classes,
                                  data<int32_t>(args[2]) + first, options.label_smoothing,
                                  data<T>(args[3]) + first * classes);
      });
    });
  });
}

}  // namespace

void add_loss(KernelTable& table) {
  table["softmax"] = prepare_softmax;
  table["log_softmax"] = prepare_log_softmax;
  table["cross_entropy"] = prepare_cross_entropy;
  table["cross_entropy_gradient"] = prepare_cross_entropy_gradient;
}

}  // namespace slope::cpu
