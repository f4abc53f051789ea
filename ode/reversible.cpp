#include "ode/reversible.h"

#include <cmath>

#include "core/error.h"
#include "core/ops/movement.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

Tensor number(const Tensor& clock, int64_t i) { return squeeze(slice(clock, 0, i, i + 1), 0); }

Tensor combined(const Tensor& y, const Tensor& h, const Tensors& xs,
                const std::vector<double>& coefficients) {
  return rk_combine(y, h, xs, coefficients);
}

// The state is y, z and f(t, z).
class ReversibleHeun final : public Scheme {
 public:
  ReversibleHeun()
      : Scheme({.name = "reversible-heun",
                .order = 2,
                .embedded_order = 1,
                .stages = 1,
                .dense_order = 2,
                .reversible = true}) {}

  bool begins_with_slope() const override { return false; }

  Tensors start(const Field& f, const Tensor& time, const Tensor& y0,
                const Tensor& slope) const override {
    const Tensor f0 = slope.defined() ? slope : f(time, y0);
    return {y0, copy(y0), f0};
  }
  int64_t start_evaluations(bool slope_known) const override { return slope_known ? 0 : 1; }

  Clock clock(std::span<const double> before, double t1) const override {
    const double t = before.back();
    return {.values = {t1 - t, t, t1}, .times = {t, t1}, .slopes = {{-1, 1, 0}, {1, 0, 1}}};
  }

  Stepped step(const StepInput& in) const override {
    const Tensor h = number(in.clock, 0);
    const Tensor &y = in.state[0], &z = in.state[1], &f = in.state[2];
    const Tensor z1 = combined(combined({}, {}, {y, z}, {2, -1}), h, {f}, {1});
    const Tensor f1 = in.field(number(in.clock, 2), z1);
    Stepped made{.fresh = {combined(y, h, {f, f1}, {0.5, 0.5}), z1, f1}};
    if (in.with_error) made.error = combined({}, h, {f, f1}, {-0.5, 0.5});
    return made;
  }

  Tensors reverse(const StepInput& in) const override {
    const Tensor h = number(in.clock, 0);
    const Tensor &y1 = in.state[0], &z1 = in.state[1], &f1 = in.state[2];
    const Tensor z = combined(combined({}, {}, {y1, z1}, {2, -1}), h, {f1}, {-1});
    const Tensor f = in.field(number(in.clock, 1), z);
    return {combined(y1, h, {f, f1}, {-0.5, -0.5}), z, f};
  }

  int64_t step_evaluations(size_t, bool, bool) const override { return 1; }
};

// The state is y and v.
class Alf final : public Scheme {
 public:
  explicit Alf(double eta)
      : Scheme({.name = eta == 1 ? "alf" : concat("alf,eta=", number_text(eta)),
                .order = eta == 1 ? 2 : 1,
                .stages = 1,
                .dense_order = eta == 1 ? 2 : 1,
                .reversible = true}),
        eta_(eta) {}

  bool begins_with_slope() const override { return false; }

  Tensors start(const Field& f, const Tensor& time, const Tensor& y0,
                const Tensor& slope) const override {
    return {y0, slope.defined() ? slope : f(time, y0)};
  }
  int64_t start_evaluations(bool slope_known) const override { return slope_known ? 0 : 1; }

  // h and the middle of the step
  Clock clock(std::span<const double> before, double t1) const override {
    const double t = before.back(), h = t1 - t;
    return {.values = {h, t + 0.5 * h}, .times = {t, t1}, .slopes = {{-1, 0.5}, {1, 0.5}}};
  }

  Stepped step(const StepInput& in) const override {
    const Tensor h = number(in.clock, 0);
    const Tensor &y = in.state[0], &v = in.state[1];
    const Tensor x = combined(y, h, {v}, {0.5});
    const Tensor u = in.field(number(in.clock, 1), x);
    const Tensor v1 = combined({}, {}, {u, v}, {2 * eta_, 1 - 2 * eta_});
    return {.fresh = {combined(x, h, {v1}, {0.5}), v1}};
  }

  Tensors reverse(const StepInput& in) const override {
    const Tensor h = number(in.clock, 0);
    const Tensor &y1 = in.state[0], &v1 = in.state[1];
    const Tensor x = combined(y1, h, {v1}, {-0.5});
    const Tensor u = in.field(number(in.clock, 1), x);
    const double scale = 1 / (1 - 2 * eta_);
    const Tensor v = combined({}, {}, {v1, u}, {scale, -2 * eta_ * scale});
    return {combined(x, h, {v}, {-0.5}), v};
  }

  int64_t step_evaluations(size_t, bool, bool) const override { return 1; }

 private:
  double eta_;
};

}  // namespace

Method reversible_heun() { return Method(std::make_shared<ReversibleHeun>()); }

Method alf(double eta) {
  if (!(eta > 0) || eta > 1 || std::abs(eta - 0.5) < 1e-3) {
    throw ValueError(
        concat("solver alf: eta must be above 0, at most 1, and not 0.5, where a step "
               "cannot be undone (v1 = 2 eta u + (1 - 2 eta) v); got ",
               number_text(eta), "."));
  }
  return Method(std::make_shared<Alf>(eta));
}

}  // namespace slope::ode
