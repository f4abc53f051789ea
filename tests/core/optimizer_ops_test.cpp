// Optimiser steps against their formulas in double: several steps, changing rates, plans, messages.
// PyTorch's own values are compared in tests/ops.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "core/plan.h"
#include "core/storage.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

const Shape kShapes[] = {{}, {7}, {3, 5}, {40, 1000}, {0, 2}};
constexpr int kSteps = 4;

double rate_at(int step) { return 0.1 / step; }

// A parameter with its state, stepped on the host.
struct Expected {
  Values p, first, second;
  explicit Expected(const Tensor& start)
      : p(start.values()), first(p.size(), 0.0), second(p.size(), 0.0) {}
};
using HostStep = std::function<void(Expected&, size_t i, double g, int step)>;
// state: p, first, second
using DeviceStep = std::function<void(const Tensors& state, const Tensor& g, int step)>;

void check_steps(const HostStep& host, const DeviceStep& step, bool second_used = true) {
  on_every_device([&] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Shape& shape : kShapes) {
        CAPTURE(shape);
        const Tensors state{mixed(shape, dtype), zeros(shape, dtype), zeros(shape, dtype)};
        Expected expected(state[0]);
        const uint64_t version = state[0].storage()->version();
        for (int number = 1; number <= kSteps; ++number) {
          const Tensor g = mixed(shape, dtype, number);
          const Values gradients = g.values();
          for (size_t i = 0; i < gradients.size(); ++i) host(expected, i, gradients[i], number);
          step(state, g, number);
        }
        CHECK(state[0].storage()->version() == version + kSteps);
        const double tolerance = dtype == Dtype::f64 ? 1e-12 : 1e-5;
        check_close(state[0], expected.p, tolerance);
        check_close(state[1], expected.first, tolerance);
        if (second_used) check_close(state[2], expected.second, tolerance);
      }
    }
  });
}

}  // namespace

TEST_CASE("sgd: plain, momentum, Nesterov, weight decay") {
  for (const double decay : {0.0, 0.05}) {
    for (const double momentum : {0.0, 0.9}) {
      for (const int64_t nesterov : {0, 1}) {
        CAPTURE(decay);
        CAPTURE(momentum);
        CAPTURE(nesterov);
        check_steps(
            [&](Expected& e, size_t i, double g, int step) {
              g += decay * e.p[i];
              e.first[i] = momentum * e.first[i] + g;
              e.p[i] -= rate_at(step) * (nesterov ? g + momentum * e.first[i] : e.first[i]);
            },
            [&](const Tensors& state, const Tensor& g, int step) {
              const Dtype dtype = g.dtype();
              sgd_step(state[0], g, state[1], scalar(rate_at(step), dtype), scalar(momentum, dtype),
                       {decay, nesterov});
            },
            false);
      }
    }
    check_steps([&](Expected& e, size_t i, double g,
                    int step) { e.p[i] -= rate_at(step) * (g + decay * e.p[i]); },
                [&](const Tensors& state, const Tensor& g, int step) {
                  sgd_step(state[0], g, {}, scalar(rate_at(step), g.dtype()), {},
                           {.weight_decay = decay});
                });
  }
}

TEST_CASE("adam and adamw") {
  // Weight decay may cancel a gradient; a larger epsilon keeps such a value from being all
  // rounding.
  for (const AdamOptions& a :
       {AdamOptions{}, AdamOptions{.epsilon = 1e-3, .weight_decay = 0.05},
        AdamOptions{.weight_decay = 0.05, .decoupled = 1},
        AdamOptions{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3}, AdamOptions{.beta1 = 0}}) {
    CAPTURE(a.weight_decay);
    CAPTURE(a.decoupled);
    CAPTURE(a.beta1);
    check_steps(
        [&](Expected& e, size_t i, double g, int step) {
          if (a.decoupled) {
            e.p[i] -= rate_at(step) * a.weight_decay * e.p[i];
          } else {
            g += a.weight_decay * e.p[i];
          }
          e.first[i] = a.beta1 * e.first[i] + (1 - a.beta1) * g;
          e.second[i] = a.beta2 * e.second[i] + (1 - a.beta2) * g * g;
          const double m = e.first[i] / (1 - std::pow(a.beta1, step));
          const double v = e.second[i] / (1 - std::pow(a.beta2, step));
          e.p[i] -= rate_at(step) * m / (std::sqrt(v) + a.epsilon);
        },
        [&](const Tensors& state, const Tensor& g, int step) {
          adam_step(state[0], g, state[1], state[2], scalar(rate_at(step), g.dtype()),
                    scalar(step, g.dtype()), a);
        });
  }
}

TEST_CASE("rmsprop with and without momentum") {
  const RmspropOptions a{.alpha = 0.9, .epsilon = 1e-4, .weight_decay = 0.05};
  for (const bool with_momentum : {false, true}) {
    const double momentum = with_momentum ? 0.8 : 0;
    check_steps(
        [&](Expected& e, size_t i, double g, int step) {
          g += a.weight_decay * e.p[i];
          e.first[i] = a.alpha * e.first[i] + (1 - a.alpha) * g * g;
          e.second[i] = momentum * e.second[i] + g / (std::sqrt(e.first[i]) + a.epsilon);
          e.p[i] -= rate_at(step) * e.second[i];
        },
        [&](const Tensors& state, const Tensor& g, int step) {
          const Dtype dtype = g.dtype();
          rmsprop_step(state[0], g, state[1], with_momentum ? state[2] : Tensor(),
                       scalar(rate_at(step), dtype),
                       with_momentum ? scalar(momentum, dtype) : Tensor(), a);
        },
        with_momentum);
  }
}

TEST_CASE("a plan holds a step, with its rate and its number as inputs") {
  on_every_device([] {
    const auto make_state = [] {
      return Tensors{mixed({5, 3}, Dtype::f32), zeros({5, 3}), zeros({5, 3})};
    };
    const Tensors planned = make_state(), eager = make_state();
    const auto step = [](const Tensors& state, const Tensors& in) {
      adam_step(state[0], in[0], state[1], state[2], in[1], in[2]);
      sgd_step(state[0], in[0], {}, in[1], {});
    };
    const auto inputs_at = [](int number) {
      return Tensors{mixed({5, 3}, Dtype::f32, number), scalar(rate_at(number)), scalar(number)};
    };
    // The capture is the first step.
    Plan plan(inputs_at(1), [&](const Tensors& in) {
      step(planned, in);
      return Tensors{in[1] * 1.0};
    });
    step(eager, inputs_at(1));
    const uint64_t version = planned[0].storage()->version();
    for (int number = 2; number <= kSteps; ++number) {
      plan.run(inputs_at(number));
      step(eager, inputs_at(number));
    }
    CHECK(planned[0].storage()->version() > version);
    for (size_t i = 0; i < 3; ++i) CHECK(planned[i].values() == eager[i].values());
  });
}

TEST_CASE("the bits of a step do not depend on the number of threads") {
  const int before = cpu::threads();
  std::vector<std::vector<Values>> results;
  for (const int count : {1, 2, 8}) {
    cpu::set_threads(count);
    const Shape shape{300, 301};
    const Tensors s{mixed(shape, Dtype::f32), zeros(shape), zeros(shape), zeros(shape)};
    const Tensor g = mixed(shape, Dtype::f32, 1), rate = scalar(0.1), one = scalar(1);
    sgd_step(s[0], g, s[1], rate, rate);
    adam_step(s[0], g, s[1], s[2], rate, one);
    rmsprop_step(s[0], g, s[2], s[3], rate, rate);
    results.push_back({s[0].values(), s[1].values(), s[2].values(), s[3].values()});
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
  cpu::set_threads(before);
}

TEST_CASE("messages of the optimiser steps") {
  on_every_device([] {
    const Tensor p = zeros({3, 4}), g = zeros({3, 5}), v = zeros({3, 4}), rate = scalar(0.1);
    CHECK_THROWS_WITH_AS(sgd_step(p, g, {}, rate, {}),
                         "sgd_step: p (3, 4) float32, g (3, 5) float32, rate () float32; g must "
                         "have shape (3, 4), that of p.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(sgd_step(p, p, v, rate, {}),
                         "sgd_step: velocity without momentum. Give both, or none.", ValueError);
    CHECK_THROWS_WITH_AS(rmsprop_step(p, p, v, {}, rate, rate),
                         "rmsprop_step: momentum without velocity. Give both, or none.",
                         ValueError);
    CHECK_THROWS_WITH_AS(adam_step(p, p, v, v, zeros({1}), rate),
                         "adam_step: p (3, 4) float32, g (3, 4) float32, m (3, 4) float32, v (3, "
                         "4) float32, rate (1) float32, step () float32; rate must have shape (): "
                         "one number for all of p.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(adam_step(p, p, v, v, rate, rate, {.beta2 = 1}),
                         "adam_step: beta2 is 1, it must lie in [0, 1).", ValueError);
    CHECK_THROWS_WITH_AS(sgd_step(p, p, {}, scalar(0.1, Dtype::f64), {}),
                         "sgd_step: dtypes differ: p (3, 4) float32, g (3, 4) float32, rate () "
                         "float64. Nothing is converted silently; write cast(rate, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(sgd_step(transpose(p), transpose(p), {}, rate, {}),
                         "sgd_step: argument 0 (4, 3) float32 is written in place and must be "
                         "contiguous. Pass a contiguous tensor.",
                         ShapeError);
  });
}
