// Optimiser steps on the cpu: one pass over the parameter, its gradient and its state.
#include "core/ops/optimizer.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/optimizer_kernel.h"
#include "backends/cpu/threads.h"

namespace slope::cpu {

template <typename T>
const OptimizerKernels<T>& optimizer_kernels() {
  const auto pick = [](const auto& for_float,
                       const auto& for_double) -> const OptimizerKernels<T>& {
    if constexpr (sizeof(T) == sizeof(float)) {
      return for_float;
    } else {
      return for_double;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kOptimizerFloat, avx512::kOptimizerDouble);
    case Isa::avx2:
      return pick(avx2::kOptimizerFloat, avx2::kOptimizerDouble);
#endif
    default:
      return pick(generic::kOptimizerFloat, generic::kOptimizerDouble);
  }
}

namespace {

template <typename T>
double number(const Argument& argument) {
  return static_cast<double>(*data<T>(argument));
}

// Calls body(begin, n) for parts of a parameter of `size` values of which `arrays` arrays are read
// or written.
template <typename T, typename Body>
void for_parts(int64_t size, double arrays, Body&& body) {
  constexpr int64_t part = 8192;
  const double cost =
      nanoseconds_for_bytes(static_cast<double>(size) * static_cast<double>(sizeof(T)) * arrays);
  parallel_for((size + part - 1) / part, cost,
               [&](int64_t i) { body(i * part, std::min(part, size - i * part)); });
}

template <typename T>
T* at(T* array, int64_t begin) {
  return array ? array + begin : nullptr;
}

std::unique_ptr<Prepared> prepare_sgd(const Call& call) {
  const auto a = call.as<SgdOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const OptimizerKernels<T>* k = &optimizer_kernels<T>();
    return prepared([=](const Argument* args, void*) {
      T* velocity = data<T>(args[2]);
      const double rate = number<T>(args[3]), momentum = velocity ? number<T>(args[4]) : 0;
      for_parts<T>(size, velocity ? 5 : 3, [&](int64_t begin, int64_t n) {
        k->sgd(n, data<T>(args[0]) + begin, data<T>(args[1]) + begin, at(velocity, begin), rate,
               momentum, a.weight_decay, a.nesterov != 0);
      });
    });
  });
}

std::unique_ptr<Prepared> prepare_adam(const Call& call) {
  const auto a = call.as<AdamOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const OptimizerKernels<T>* k = &optimizer_kernels<T>();
    return prepared([=](const Argument* args, void*) {
      const double rate = number<T>(args[4]), step = number<T>(args[5]);
      const typename OptimizerKernels<T>::Adam numbers{
          .beta1 = a.beta1,
          .beta2 = a.beta2,
          .epsilon = a.epsilon,
          .penalty = a.decoupled ? 0 : a.weight_decay,
          .keep = a.decoupled ? 1 - rate * a.weight_decay : 1,
          .size = rate / (1 - std::pow(a.beta1, step)),
          .spread = 1 / std::sqrt(1 - std::pow(a.beta2, step))};
      for_parts<T>(size, 7, [&](int64_t begin, int64_t n) {
        k->adam(n, data<T>(args[0]) + begin, data<T>(args[1]) + begin, data<T>(args[2]) + begin,
                data<T>(args[3]) + begin, numbers);
      });
    });
  });
}

std::unique_ptr<Prepared> prepare_rmsprop(const Call& call) {
  const auto a = call.as<RmspropOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    const OptimizerKernels<T>* k = &optimizer_kernels<T>();
    return prepared([=](const Argument* args, void*) {
      T* velocity = data<T>(args[3]);
      const double rate = number<T>(args[4]), momentum = velocity ? number<T>(args[5]) : 0;
      for_parts<T>(size, velocity ? 7 : 5, [&](int64_t begin, int64_t n) {
        k->rmsprop(n, data<T>(args[0]) + begin, data<T>(args[1]) + begin, data<T>(args[2]) + begin,
                   at(velocity, begin), rate, momentum, a.alpha, a.epsilon, a.weight_decay);
      });
    });
  });
}

}  // namespace

void add_optimizer(KernelTable& table) {
  table["sgd_step"] = prepare_sgd;
  table["adam_step"] = prepare_adam;
  table["rmsprop_step"] = prepare_rmsprop;
}

}  // namespace slope::cpu
