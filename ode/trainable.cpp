#include "ode/trainable.h"

#include <functional>

#include "core/error.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/plan.h"
#include "ode/families.h"
#include "ode/family_formulas.h"

namespace slope::ode {
namespace {

using Formulas = std::function<FamilyMember<Tensor>(const Tensor& one, const Tensors& parameters)>;
using Checked = std::function<Tableau(const std::vector<double>& parameters)>;

class Trainable final : public Scheme {
 public:
  // structure: any member of the family
  Trainable(const char* name, const Tableau& structure, Tensors parameters, Formulas formulas,
            Checked checked)
      : Scheme({.name = name,
                .order = structure.order,
                .stages = structure.stages(),
                .dense_order = structure.dense_order}),
        structure_(structure),
        parameters_(std::move(parameters)),
        formulas_(std::move(formulas)),
        checked_(std::move(checked)) {
    for (const Tensor& x : parameters_) {
      if (x.rank() == 0 && is_float(x.dtype())) continue;
      throw ShapeError(concat("solver ", name, ": a parameter must be a float tensor of shape (), ",
                              "got ", describe(x), ". Write scalar(0.5)."));
    }
  }

  bool begins_with_slope() const override { return true; }

  void check(const Field&, const Tensor&) const override {
    if (capturing()) return;
    std::vector<double> values;
    for (const Tensor& x : parameters_) values.push_back(x.item());
    checked_(values);
  }

  // c, the rows of a, and b, one after the other: (s + s (s - 1) / 2 + s).
  Tensors parameters(Dtype dtype, Device device) const override {
    Tensors own;
    for (const Tensor& x : parameters_) own.push_back(cast(x, dtype));
    const FamilyMember<Tensor> m = formulas_(ones({}, dtype, device), own);
    Tensors all = m.c;
    for (const Tensors& row : m.a) all.insert(all.end(), row.begin(), row.end());
    all.insert(all.end(), m.b.begin(), m.b.end());
    return {stack(all)};
  }

  // h and t: the nodes are on the device.
  Clock clock(std::span<const double> before, double t1) const override {
    const double t = before.back();
    return {.values = {t1 - t, t}, .times = {t, t1}, .slopes = {{-1, 1}, {1, 0}}};
  }

  Stepped step(const StepInput& in) const override {
    const auto number = [](const Tensor& xs, int64_t i) {
      return squeeze(slice(xs, 0, i, i + 1), 0);
    };
    const Tensor h = number(in.clock, 0), t = number(in.clock, 1);
    const Tensor &coefficients = in.parameters[0], &y = in.state[0];
    const int s = structure_.stages();
    int64_t next = s;  // the place of the next row
    const auto combine = [&](const Tensors& k, uint32_t bits) {
      const auto count = static_cast<int64_t>(k.size());
      bool used[kMaxStages];
      for (int64_t j = 0; j < count; ++j) used[j] = bits >> j & 1;
      next += count;
      return rk_combine(y, h, k, slice(coefficients, 0, next - count, next),
                        std::span<const bool>(used, k.size()));
    };
    Tensors k = {in.slope.defined() ? in.slope : in.field(t, y)};
    for (int i = 1; i < s; ++i) {
      const Tensor argument = combine(k, structure_.a_used[static_cast<size_t>(i)]);
      k.push_back(in.field(t + number(coefficients, i) * h, argument));
    }
    return {.fresh = {combine(k, structure_.b_used)}};
  }

  int64_t step_evaluations(size_t, bool slope_known, bool) const override {
    return structure_.stages() - (slope_known ? 1 : 0);
  }

 private:
  Tableau structure_;
  Tensors parameters_;
  Formulas formulas_;
  Checked checked_;
};

using FormulasOfOne = FamilyMember<Tensor> (*)(const Tensor&, const Tensor&);
using FormulasOfTwo = FamilyMember<Tensor> (*)(const Tensor&, const Tensor&, const Tensor&);

Method of_one(const char* name, const Tensor& u, FormulasOfOne formulas,
              Tableau (*family)(double)) {
  return Method(std::make_shared<Trainable>(
      name, family(0.3), Tensors{u},
      [=](const Tensor& one, const Tensors& p) { return formulas(one, p[0]); },
      [=](const std::vector<double>& p) { return family(p[0]); }));
}

Method of_two(const char* name, const Tensor& u, const Tensor& v, FormulasOfTwo formulas,
              Tableau (*family)(double, double)) {
  return Method(std::make_shared<Trainable>(
      name, family(0.3, 0.6), Tensors{u, v},
      [=](const Tensor& one, const Tensors& p) { return formulas(one, p[0], p[1]); },
      [=](const std::vector<double>& p) { return family(p[0], p[1]); }));
}

}  // namespace

Method trainable_rk2(const Tensor& u) { return of_one("trainable rk2", u, rk2_formulas, rk2); }
Method trainable_rk3(const Tensor& u, const Tensor& v) {
  return of_two("trainable rk3", u, v, rk3_formulas, rk3);
}
Method trainable_rk4_u1(const Tensor& u) {
  return of_one("trainable rk4 u1", u, rk4_u1_formulas, rk4_u1);
}
Method trainable_rk4_u2(const Tensor& u) {
  return of_one("trainable rk4 u2", u, rk4_u2_formulas, rk4_u2);
}
Method trainable_rk4_u3(const Tensor& u) {
  return of_one("trainable rk4 u3", u, rk4_u3_formulas, rk4_u3);
}
Method trainable_rk4(const Tensor& u, const Tensor& v) {
  return of_two("trainable rk4", u, v, rk4_formulas, rk4);
}

}  // namespace slope::ode
