#include "ode/symplectic.h"

#include "core/error.h"
#include "core/ops/movement.h"

namespace slope::ode {
namespace {

Tensor number(const Tensor& clock, int64_t i) { return squeeze(slice(clock, 0, i, i + 1), 0); }

// x + factor h slope
Tensor moved(const Tensor& x, const Tensor& h, const Tensor& slope, double factor) {
  return rk_combine(x, h, Tensors{slope}, std::vector<double>{factor});
}

// A separable field at work: what is written g and f above.
struct Parts {
  const Field& field;
  int axis;

  Parts(const Field& f, const Tensor& y)
      : field(f), axis(f.halves->axis < 0 ? f.halves->axis + y.rank() : f.halves->axis) {}

  Tensor q(const Tensor& y) const { return slice(y, axis, 0, y.dim(axis) / 2); }
  Tensor p(const Tensor& y) const { return slice(y, axis, y.dim(axis) / 2, y.dim(axis)); }
  Tensor join(const Tensor& q, const Tensor& p) const { return concatenate({q, p}, axis); }
  Tensor drift(const Tensor& t, const Tensor& p) const {
    return field.halves->position_slope(t, p, field.context);
  }
  Tensor kick(const Tensor& t, const Tensor& q) const {
    return field.halves->momentum_slope(t, q, field.context);
  }
};

// What both methods share: h, t, the middle and t1 on the clock, and the check of the field.
class Symplectic : public Scheme {
 public:
  bool begins_with_slope() const override { return false; }

  void check(const Field& field, const Tensor& y0) const override {
    if (!field.halves) {
      throw ValueError(concat("solve: ", facts().name,
                              " needs a separable field: y = (q, p) with q' = g(t, p) and p' = "
                              "f(t, q). Make it with separable_field, or take rk4."));
    }
    const int axis = field.halves->axis < 0 ? field.halves->axis + y0.rank() : field.halves->axis;
    if (axis < 0 || axis >= y0.rank() || y0.dim(axis) % 2 != 0) {
      throw ShapeError(concat("solve: y0 ", describe(y0),
                              " must be positions and then momenta, equal halves of axis ",
                              field.halves->axis, "."));
    }
  }

  Clock clock(std::span<const double> before, double t1) const override {
    const double t = before.back(), h = t1 - t;
    return {.values = {h, t, t + 0.5 * h, t1},
            .times = {t, t1},
            .slopes = {{-1, 1, 0.5, 0}, {1, 0, 0.5, 1}}};
  }

  int64_t step_evaluations(size_t, bool, bool) const override { return 1; }

 protected:
  Symplectic(const char* name, int order)
      : Scheme({.name = name,
                .order = order,
                .stages = 1,
                .dense_order = order,
                .separable = true,
                .reversible = true}) {}
};

class SemiImplicitEuler final : public Symplectic {
 public:
  SemiImplicitEuler() : Symplectic("semi-implicit-euler", 1) {}

  Stepped step(const StepInput& in) const override {
    const Tensor& y = in.state[0];
    const Parts parts(in.field, y);
    const Tensor h = number(in.clock, 0), q = parts.q(y);
    const Tensor p1 = moved(parts.p(y), h, parts.kick(number(in.clock, 1), q), 1);
    const Tensor q1 = moved(q, h, parts.drift(number(in.clock, 3), p1), 1);
    return {.fresh = {parts.join(q1, p1)}};
  }

  Tensors reverse(const StepInput& in) const override {
    const Tensor& y1 = in.state[0];
    const Parts parts(in.field, y1);
    const Tensor h = number(in.clock, 0), p1 = parts.p(y1);
    const Tensor q = moved(parts.q(y1), h, parts.drift(number(in.clock, 3), p1), -1);
    const Tensor p = moved(p1, h, parts.kick(number(in.clock, 1), q), -1);
    return {parts.join(q, p)};
  }
};

// The state is y and f(t, q).
class Leapfrog final : public Symplectic {
 public:
  Leapfrog() : Symplectic("leapfrog", 2) {}

  Tensors start(const Field& f, const Tensor& time, const Tensor& y0,
                const Tensor&) const override {
    const Parts parts(f, y0);
    return {y0, parts.kick(time, parts.q(y0))};
  }
  int64_t start_evaluations(bool) const override { return 1; }

  Stepped step(const StepInput& in) const override {
    const Tensor &y = in.state[0], &kick = in.state[1];
    const Parts parts(in.field, y);
    const Tensor h = number(in.clock, 0);
    const Tensor middle = moved(parts.p(y), h, kick, 0.5);
    const Tensor q1 = moved(parts.q(y), h, parts.drift(number(in.clock, 2), middle), 1);
    const Tensor kick1 = parts.kick(number(in.clock, 3), q1);
    return {.fresh = {parts.join(q1, moved(middle, h, kick1, 0.5)), kick1}};
  }

  Tensors reverse(const StepInput& in) const override {
    const Tensor &y1 = in.state[0], &kick1 = in.state[1];
    const Parts parts(in.field, y1);
    const Tensor h = number(in.clock, 0);
    const Tensor middle = moved(parts.p(y1), h, kick1, -0.5);
    const Tensor q = moved(parts.q(y1), h, parts.drift(number(in.clock, 2), middle), -1);
    const Tensor kick = parts.kick(number(in.clock, 1), q);
    return {parts.join(q, moved(middle, h, kick, -0.5)), kick};
  }
};

}  // namespace

Method semi_implicit_euler() { return Method(std::make_shared<SemiImplicitEuler>()); }
Method leapfrog() { return Method(std::make_shared<Leapfrog>()); }

}  // namespace slope::ode
