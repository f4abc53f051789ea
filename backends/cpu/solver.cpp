// The ops of a Runge-Kutta step on the cpu: one pass over memory each, block by block.
#include "core/ops/solver.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/solver_kernel.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {

template <typename T>
const SolverKernels<T>& solver_kernels() {
  const auto pick = [](const auto& for_float, const auto& for_double) -> const SolverKernels<T>& {
    if constexpr (sizeof(T) == sizeof(float)) {
      return for_float;
    } else {
      return for_double;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kSolverFloat, avx512::kSolverDouble);
    case Isa::avx2:
      return pick(avx2::kSolverFloat, avx2::kSolverDouble);
#endif
    default:
      return pick(generic::kSolverFloat, generic::kSolverDouble);
  }
}

namespace {

constexpr int64_t kTaskValues = 8192;

// args: y, h, slopes from `first` on, the result. coefficients: one for each slope.
template <typename T>
void combine(const SolverKernels<T>& k, const RkCombineSizes& z, const T* coefficients,
             const Argument* args, int64_t first) {
  const T* y = data<T>(args[0]);
  const T* h = data<T>(args[1]);
  T* out = data<T>(args[first + z.slopes]);
  std::array<const T*, kMaxStages> slopes;
  for (int64_t s = 0; s < z.slopes; ++s) {
    slopes[static_cast<size_t>(s)] = data<T>(args[first + s]);
  }
  const int64_t size = z.steps * z.values;
  const double cost = nanoseconds_for_bytes(static_cast<double>(size) * sizeof(T) *
                                            static_cast<double>(z.slopes + 2));
  const auto run_block = [&](int64_t begin, int64_t end) {
    alignas(64) T total[kCombineBlock];
    k.sum_slopes(z.slopes, slopes.data(), coefficients, begin, end, total);
    const T* from = y ? y + begin : nullptr;
    if (!h || z.steps == 1) {
      k.advance(end - begin, from, h ? *h : T(1), total, out + begin);
      return;
    }
    alignas(64) T steps[kCombineBlock];
    // A sample may have one value or two: what is done for each must be little.
    for (int64_t i = begin, sample = begin / z.values; i < end; ++sample) {
      const int64_t stop = std::min(end, (sample + 1) * z.values);
      for (const T step = h[sample]; i < stop; ++i) steps[i - begin] = step;
    }
    k.advance_each(end - begin, from, steps, total, out + begin);
  };
  parallel_for((size + kTaskValues - 1) / kTaskValues, cost, [&](int64_t task) {
    const int64_t last = std::min(size, (task + 1) * kTaskValues);
    for (int64_t begin = task * kTaskValues; begin < last; begin += kCombineBlock) {
      run_block(begin, std::min(last, begin + kCombineBlock));
    }
  });
}

std::unique_ptr<Prepared> prepare_combine(const Call& call) {
  const RkCombineSizes z = rk_combine_sizes(call.in(1), call.inputs.subspan(2));
  const auto& given = call.as<RkCombineAttributes>().coefficients;
  return dispatch_float(call.in(2).dtype(), [&]<typename T>() {
    std::array<T, kMaxStages> coefficients;
    std::transform(given.begin(), given.end(), coefficients.begin(),
                   [](double c) { return static_cast<T>(c); });
    const SolverKernels<T>* k = &solver_kernels<T>();
    return prepared(
        [=](const Argument* args, void*) { combine(*k, z, coefficients.data(), args, 2); });
  });
}

std::unique_ptr<Prepared> prepare_combine_trainable(const Call& call) {
  const RkCombineSizes z = rk_combine_sizes(call.in(1), call.inputs.subspan(3));
  const auto places = call.as<RkCombineTrainableAttributes>().places;
  return dispatch_float(call.in(3).dtype(), [&]<typename T>() {
    const SolverKernels<T>* k = &solver_kernels<T>();
    return prepared([=](const Argument* args, void*) {
      std::array<T, kMaxStages> coefficients{};
      for (size_t s = 0; s < static_cast<size_t>(z.slopes); ++s) {
        coefficients[s] = data<T>(args[2])[places[s]];
      }
      combine(*k, z, coefficients.data(), args, 3);
    });
  });
}

// Each result is the sum over chunks of a fixed size, added up in order.
std::unique_ptr<Prepared> prepare_error_norm(const Call& call) {
  const auto a = call.as<ErrorNormAttributes>();
  const int64_t results = a.per_sample ? call.in(0).dim(0) : 1;
  const int64_t values = results == 0 ? 0 : call.in(0).size() / results;
  const int64_t chunks = std::max<int64_t>(1, (values + kTaskValues - 1) / kTaskValues);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const SolverKernels<T>* k = &solver_kernels<T>();
    return prepared(
        [=](const Argument* args, void* scratch) {
          double* sums = static_cast<double*>(scratch);
          const double cost = nanoseconds_for_bytes(static_cast<double>(results) *
                                                    static_cast<double>(values) * 3 * sizeof(T));
          parallel_for(results * chunks, cost, [&](int64_t task) {
            const int64_t begin = task % chunks * kTaskValues;
            const int64_t at = task / chunks * values + begin;
            sums[task] =
                k->scaled_squares(std::min(kTaskValues, values - begin), data<T>(args[0]) + at,
                                  data<T>(args[1]) + at, data<T>(args[2]) + at, a.atol, a.rtol);
          });
          for (int64_t r = 0; r < results; ++r) {
            double sum = 0;
            for (int64_t i = 0; i < chunks; ++i) sum += sums[r * chunks + i];
            data<T>(args[3])[r] = static_cast<T>(std::sqrt(sum / static_cast<double>(values)));
          }
        },
        static_cast<size_t>(results * chunks) * sizeof(double));
  });
}

}  // namespace

void add_solver(KernelTable& table) {
  table["rk_combine"] = prepare_combine;
  table["rk_combine_trainable"] = prepare_combine_trainable;
  table["error_norm"] = prepare_error_norm;
}

}  // namespace slope::cpu
