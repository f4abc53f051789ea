#include "core/ops/optimizer.h"

#include <cmath>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace slope {
namespace {

// `count` tensors like p, p itself first, then `numbers` of shape (); undefined ones are left out.
OutSpecs check_step(const Call& c, std::initializer_list<const char*> names, int count) {
  check_float(c, names);
  check_same_dtype(c, names);
  for (int i = 0; i < c.count(); ++i) {
    if (!c.has(i)) continue;
    const Shape expected = i < count ? c.in(0).shape() : Shape{};
    if (c.in(i).shape() != expected) {
      throw ShapeError(concat(c.op.name, ": ", describe_arguments(c, names), "; ",
                              std::data(names)[i], " must have shape ", expected,
                              i < count ? ", that of p." : ": one number for all of p."));
    }
  }
  return {};
}

void check_momentum(const Call& c, int velocity, int momentum) {
  if (c.has(velocity) == c.has(momentum)) return;
  throw ValueError(concat(
      c.op.name, ": ", c.has(velocity) ? "velocity without momentum" : "momentum without velocity",
      ". Give both, or none."));
}

void check_below_one(const Call& c, const char* name, double value) {
  if (value >= 0 && value < 1) return;
  throw ValueError(concat(c.op.name, ": ", name, " is ", value, ", it must lie in [0, 1)."));
}

// g with the penalty weight_decay / 2 |p|^2 added to the loss
Tensor decayed(const Tensor& g, const Tensor& p, double weight_decay) {
  return weight_decay == 0 ? g : g + p * weight_decay;
}

// 1 - beta^step
Tensor bias_correction(const Tensor& step, double beta) { return -expm1(step * std::log(beta)); }

SampleInput like_p(const Shape& p) { return {p}; }
SampleInput not_negative(const Shape& p) { return {p, 0, 1}; }
constexpr SampleInput kAbsent{.shape = {}, .undefined = true};
const Shape kSampleShapes[] = {{2, 3}, {37}, {}, {0, 3}};

const Op kSgd{
    .name = "sgd_step",
    .shape =
        [](const Call& c) {
          check_momentum(c, 2, 4);
          return check_step(c, {"p", "g", "velocity", "rate", "momentum"}, 3);
        },
    .visible = 0,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<SgdOptions>();
          const Tensor& p = c.in(0);
          const Tensor g = decayed(c.in(1), p, a.weight_decay);
          Tensor direction = g;
          if (c.has(2)) {
            const Tensor velocity = c.in(4) * c.in(2) + g;
            copy_into(c.in(2), velocity);
            direction = a.nesterov ? g + c.in(4) * velocity : velocity;
          }
          copy_into(p, p - c.in(3) * direction);
          return Tensors{};
        },
    .samples =
        [] {
          Samples all;
          for (const Shape& p : kSampleShapes) {
            const SampleInput rate{{}, 0.01, 0.1}, momentum{{}, 0.5, 0.9};
            all.push_back({{like_p(p), like_p(p), kAbsent, rate, kAbsent}, SgdOptions{0.05}});
            all.push_back({{like_p(p), like_p(p), like_p(p), rate, momentum}, SgdOptions{}});
            all.push_back({{like_p(p), like_p(p), like_p(p), rate, momentum}, SgdOptions{0.05, 1}});
          }
          return all;
        },
    .writes = input_bit(0) | input_bit(2),
    .differentiable = false};

const Op kAdam{
    .name = "adam_step",
    .shape =
        [](const Call& c) {
          check_below_one(c, "beta1", c.as<AdamOptions>().beta1);
          check_below_one(c, "beta2", c.as<AdamOptions>().beta2);
          return check_step(c, {"p", "g", "m", "v", "rate", "step"}, 4);
        },
    .visible = 0,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<AdamOptions>();
          const Tensor &p = c.in(0), &rate = c.in(4), &step = c.in(5);
          const Tensor g = a.decoupled ? c.in(1) : decayed(c.in(1), p, a.weight_decay);
          const Tensor m = c.in(2) * a.beta1 + g * (1 - a.beta1);
          const Tensor v = c.in(3) * a.beta2 + square(g) * (1 - a.beta2);
          const Tensor size = rate / bias_correction(step, a.beta1);
          const Tensor spread = sqrt(v) * rsqrt(bias_correction(step, a.beta2)) + a.epsilon;
          const Tensor kept = a.decoupled ? p - p * (rate * a.weight_decay) : p;
          copy_into(c.in(2), m);
          copy_into(c.in(3), v);
          copy_into(p, kept - size * (m / spread));
          return Tensors{};
        },
    .samples =
        [] {
          Samples all;
          for (const Shape& p : kSampleShapes) {
            for (const AdamOptions& options :
                 {AdamOptions{}, AdamOptions{.beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.05},
                  AdamOptions{.weight_decay = 0.05, .decoupled = 1}}) {
              all.push_back(
                  {{like_p(p), like_p(p), like_p(p), not_negative(p), {{}, 0.01, 0.1}, {{}, 1, 20}},
                   options});
            }
          }
          return all;
        },
    .writes = input_bit(0) | input_bit(2) | input_bit(3),
    .differentiable = false};

const Op kRmsprop{
    .name = "rmsprop_step",
    .shape =
        [](const Call& c) {
          check_below_one(c, "alpha", c.as<RmspropOptions>().alpha);
          check_momentum(c, 3, 5);
          return check_step(c, {"p", "g", "square_average", "velocity", "rate", "momentum"}, 4);
        },
    .visible = 0,
    .decompose =
        [](const Call& c) {
          const auto& a = c.as<RmspropOptions>();
          const Tensor& p = c.in(0);
          const Tensor g = decayed(c.in(1), p, a.weight_decay);
          const Tensor average = c.in(2) * a.alpha + square(g) * (1 - a.alpha);
          Tensor direction = g / (sqrt(average) + a.epsilon);
          if (c.has(3)) {
            direction = c.in(5) * c.in(3) + direction;
            copy_into(c.in(3), direction);
          }
          copy_into(c.in(2), average);
          copy_into(p, p - c.in(4) * direction);
          return Tensors{};
        },
    .samples =
        [] {
          Samples all;
          for (const Shape& p : kSampleShapes) {
            const SampleInput rate{{}, 0.01, 0.1}, momentum{{}, 0.5, 0.9};
            all.push_back({{like_p(p), like_p(p), not_negative(p), kAbsent, rate, kAbsent},
                           RmspropOptions{}});
            all.push_back({{like_p(p), like_p(p), not_negative(p), like_p(p), rate, momentum},
                           RmspropOptions{.alpha = 0.9, .weight_decay = 0.05}});
          }
          return all;
        },
    .writes = input_bit(0) | input_bit(2) | input_bit(3),
    .differentiable = false};

}  // namespace

void sgd_step(const Tensor& p, const Tensor& g, const Tensor& velocity, const Tensor& rate,
              const Tensor& momentum, const SgdOptions& options) {
  apply_all(kSgd, {p, g, velocity, rate, momentum}, options);
}

void adam_step(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v,
               const Tensor& rate, const Tensor& step, const AdamOptions& options) {
  apply_all(kAdam, {p, g, m, v, rate, step}, options);
}

void rmsprop_step(const Tensor& p, const Tensor& g, const Tensor& square_average,
                  const Tensor& velocity, const Tensor& rate, const Tensor& momentum,
                  const RmspropOptions& options) {
  apply_all(kRmsprop, {p, g, square_average, velocity, rate, momentum}, options);
}

OpList optimizer_ops() { return {&kSgd, &kAdam, &kRmsprop}; }

}  // namespace slope
