// Optimiser steps, one value after the other, in double.
#include "core/ops/optimizer.h"

#include <cmath>

#include "backends/reference/reference.h"

namespace slope::reference {
namespace {

template <typename T>
double number(const Argument& argument) {
  return static_cast<double>(*data<T>(argument));
}

std::unique_ptr<Prepared> prepare_sgd(const Call& call) {
  const auto a = call.as<SgdOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      T* p = data<T>(args[0]);
      const T* gradient = data<T>(args[1]);
      T* velocity = data<T>(args[2]);
      const double rate = number<T>(args[3]);
      const double momentum = velocity ? number<T>(args[4]) : 0;
      for (int64_t i = 0; i < size; ++i) {
        const double g = gradient[i] + a.weight_decay * p[i];
        double direction = g;
        if (velocity) {
          const double v = momentum * velocity[i] + g;
          velocity[i] = static_cast<T>(v);
          direction = a.nesterov ? g + momentum * v : v;
        }
        p[i] = static_cast<T>(p[i] - rate * direction);
      }
    });
  });
}

std::unique_ptr<Prepared> prepare_adam(const Call& call) {
  const auto a = call.as<AdamOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      T* p = data<T>(args[0]);
      const T* gradient = data<T>(args[1]);
      T* m = data<T>(args[2]);
      T* v = data<T>(args[3]);
      const double rate = number<T>(args[4]), step = number<T>(args[5]);
      const double correction1 = 1 - std::pow(a.beta1, step);
      const double correction2 = 1 - std::pow(a.beta2, step);
      const double shrink = a.decoupled ? rate * a.weight_decay : 0;
      const double penalty = a.decoupled ? 0 : a.weight_decay;
      for (int64_t i = 0; i < size; ++i) {
        const double g = gradient[i] + penalty * p[i];
        const double mean = a.beta1 * m[i] + (1 - a.beta1) * g;
        const double square = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        m[i] = static_cast<T>(mean);
        v[i] = static_cast<T>(square);
        const double spread = std::sqrt(square / correction2) + a.epsilon;
        p[i] = static_cast<T>(p[i] - shrink * p[i] - rate * (mean / correction1) / spread);
      }
    });
  });
}

std::unique_ptr<Prepared> prepare_rmsprop(const Call& call) {
  const auto a = call.as<RmspropOptions>();
  const int64_t size = call.in(0).size();
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=](const Argument* args, void*) {
      T* p = data<T>(args[0]);
      const T* gradient = data<T>(args[1]);
      T* average = data<T>(args[2]);
      T* velocity = data<T>(args[3]);
      const double rate = number<T>(args[4]);
      const double momentum = velocity ? number<T>(args[5]) : 0;
      for (int64_t i = 0; i < size; ++i) {
        const double g = gradient[i] + a.weight_decay * p[i];
        const double s = a.alpha * average[i] + (1 - a.alpha) * g * g;
        average[i] = static_cast<T>(s);
        double direction = g / (std::sqrt(s) + a.epsilon);
        if (velocity) {
          direction += momentum * velocity[i];
          velocity[i] = static_cast<T>(direction);
        }
        p[i] = static_cast<T>(p[i] - rate * direction);
      }
    });
  });
}

}  // namespace

void add_optimizer(KernelTable& table) {
  table["sgd_step"] = prepare_sgd;
  table["adam_step"] = prepare_adam;
  table["rmsprop_step"] = prepare_rmsprop;
}

}  // namespace slope::reference
