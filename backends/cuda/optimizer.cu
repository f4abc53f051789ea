// Optimiser steps: one pass over a parameter, its gradient and its state. Arithmetic in double.
#include "core/ops/optimizer.h"

#include "backends/cuda/context.h"
#include "core/ops/scalar.h"

namespace slope::cuda {
namespace {

// velocity, momentum: null without momentum
template <typename T>
__global__ void sgd_kernel(T* p, const T* gradient, T* velocity, const T* rate_value,
                           const T* momentum_value, int64_t size, SgdOptions a) {
  const double rate = static_cast<double>(*rate_value);
  const double momentum = velocity ? static_cast<double>(*momentum_value) : 0;
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const double before = static_cast<double>(p[i]);
    const double g = static_cast<double>(gradient[i]) + a.weight_decay * before;
    double direction = g;
    if (velocity) {
      const double v = momentum * static_cast<double>(velocity[i]) + g;
      velocity[i] = static_cast<T>(v);
      direction = a.nesterov ? g + momentum * v : v;
    }
    p[i] = static_cast<T>(before - rate * direction);
  }
}

std::unique_ptr<Prepared> prepare_sgd(const Context& context, const Call& call) {
  const auto a = call.as<SgdOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), sgd_kernel<T>, data<T>(args[0]), data<T>(args[1]),
             data<T>(args[2]), data<T>(args[3]), data<T>(args[4]), size, a);
    });
  });
}

template <typename T>
__global__ void adam_kernel(T* p, const T* gradient, T* m, T* v, const T* rate_value,
                            const T* step_value, int64_t size, AdamOptions a) {
  const double rate = static_cast<double>(*rate_value), step = static_cast<double>(*step_value);
  const double correction1 = 1 - math::pow(a.beta1, step);
  const double correction2 = 1 - math::pow(a.beta2, step);
  const double shrink = a.decoupled ? rate * a.weight_decay : 0;
  const double penalty = a.decoupled ? 0 : a.weight_decay;
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const double before = static_cast<double>(p[i]);
    const double g = static_cast<double>(gradient[i]) + penalty * before;
    const double mean = a.beta1 * static_cast<double>(m[i]) + (1 - a.beta1) * g;
    const double square = a.beta2 * static_cast<double>(v[i]) + (1 - a.beta2) * g * g;
    m[i] = static_cast<T>(mean);
    v[i] = static_cast<T>(square);
    const double spread = math::sqrt(square / correction2) + a.epsilon;
    p[i] = static_cast<T>(before - shrink * before - rate * (mean / correction1) / spread);
  }
}

std::unique_ptr<Prepared> prepare_adam(const Context& context, const Call& call) {
  const auto a = call.as<AdamOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), adam_kernel<T>, data<T>(args[0]), data<T>(args[1]),
             data<T>(args[2]), data<T>(args[3]), data<T>(args[4]), data<T>(args[5]), size, a);
    });
  });
}

// velocity, momentum: null without momentum
template <typename T>
__global__ void rmsprop_kernel(T* p, const T* gradient, T* average, T* velocity,
                               const T* rate_value, const T* momentum_value, int64_t size,
                               RmspropOptions a) {
  const double rate = static_cast<double>(*rate_value);
  const double momentum = velocity ? static_cast<double>(*momentum_value) : 0;
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const double before = static_cast<double>(p[i]);
    const double g = static_cast<double>(gradient[i]) + a.weight_decay * before;
    const double s = a.alpha * static_cast<double>(average[i]) + (1 - a.alpha) * g * g;
    average[i] = static_cast<T>(s);
    double direction = g / (math::sqrt(s) + a.epsilon);
    if (velocity) {
      direction += momentum * static_cast<double>(velocity[i]);
      velocity[i] = static_cast<T>(direction);
    }
    p[i] = static_cast<T>(before - rate * direction);
  }
}

std::unique_ptr<Prepared> prepare_rmsprop(const Context& context, const Call& call) {
  const auto a = call.as<RmspropOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), rmsprop_kernel<T>, data<T>(args[0]), data<T>(args[1]),
             data<T>(args[2]), data<T>(args[3]), data<T>(args[4]), data<T>(args[5]), size, a);
    });
  });
}

}  // namespace

void add_optimizer(KernelTable& table) {
  table["sgd_step"] = prepare_sgd;
  table["adam_step"] = prepare_adam;
  table["rmsprop_step"] = prepare_rmsprop;
}

}  // namespace slope::cuda
