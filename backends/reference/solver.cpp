// Runge-Kutta combinations and the scaled error norm, one value after the other; sums in double.
#include "core/ops/solver.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/reference/reference.h"
#include "core/ops/scalar.h"

namespace slope::reference {
namespace {

// args: y, h, then slopes from `first` on, then the result.
template <typename T>
void combine(const RkCombineSizes& sizes, const std::array<double, kMaxStages>& coefficients,
             const Argument* args, int64_t first) {
  const T* y = data<T>(args[0]);
  const T* h = data<T>(args[1]);
  T* out = data<T>(args[first + sizes.slopes]);
  for (int64_t i = 0; i < sizes.steps * sizes.values; ++i) {
    double total = 0;
    for (int64_t s = 0; s < sizes.slopes; ++s) {
      total +=
          coefficients[static_cast<size_t>(s)] * static_cast<double>(data<T>(args[first + s])[i]);
    }
    if (h) total *= static_cast<double>(h[sizes.steps == 1 ? 0 : i / sizes.values]);
    out[i] = static_cast<T>(y ? static_cast<double>(y[i]) + total : total);
  }
}

std::unique_ptr<Prepared> prepare_combine(const Call& call) {
  const RkCombineSizes sizes = rk_combine_sizes(call.in(1), call.inputs.subspan(2));
  const auto coefficients = call.as<RkCombineAttributes>().coefficients;
  return dispatch_float(call.in(2).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) { combine<T>(sizes, coefficients, args, 2); });
  });
}

std::unique_ptr<Prepared> prepare_combine_trainable(const Call& call) {
  const RkCombineSizes sizes = rk_combine_sizes(call.in(1), call.inputs.subspan(3));
  const auto places = call.as<RkCombineTrainableAttributes>().places;
  return dispatch_float(call.in(3).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      std::array<double, kMaxStages> coefficients{};
      for (size_t s = 0; s < static_cast<size_t>(sizes.slopes); ++s) {
        coefficients[s] = static_cast<double>(data<T>(args[2])[places[s]]);
      }
      combine<T>(sizes, coefficients, args, 3);
    });
  });
}

std::unique_ptr<Prepared> prepare_error_norm(const Call& call) {
  const auto a = call.as<ErrorNormAttributes>();
  const int64_t results = a.per_sample ? call.in(0).dim(0) : 1;
  const int64_t values = results == 0 ? 0 : call.in(0).size() / results;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      for (int64_t r = 0; r < results; ++r) {
        double sum = 0;
        for (int64_t i = r * values; i < (r + 1) * values; ++i) {
          const double e = data<T>(args[0])[i], y0 = data<T>(args[1])[i], y1 = data<T>(args[2])[i];
          // math::maximum is NaN if either is, std::max may hide it.
          const double scaled = e / (a.atol + a.rtol * math::maximum(std::abs(y0), std::abs(y1)));
          sum += scaled * scaled;
        }
        data<T>(args[3])[r] = static_cast<T>(std::sqrt(sum / static_cast<double>(values)));
      }
    });
  });
}

}  // namespace

void add_solver(KernelTable& table) {
  table["rk_combine"] = prepare_combine;
  table["rk_combine_trainable"] = prepare_combine_trainable;
  table["error_norm"] = prepare_error_norm;
}

}  // namespace slope::reference
