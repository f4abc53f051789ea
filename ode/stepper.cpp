#include "ode/stepper.h"

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/plan.h"

namespace slope::ode {

std::string plan_key(const char* what, const Tableau& method) {
  std::string key = concat(what, " ", method.name, " ", method.stages());
  const auto add = [&](const std::vector<double>& values) {
    key.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  };
  add(method.b);
  add(method.b_error);
  for (const auto& row : method.a) add(row);
  return key;
}

int64_t evaluations_of_advance(const Tableau& method) {
  return method.stages() - (method.fsal() ? 1 : 0);
}

Stepper::Stepper(const Tableau& method, const Field& field, const Tensor& y,
                 const ErrorNormOptions& norm, const SolveOptions& options, Statistics& statistics)
    : method_(method),
      field_(field),
      dtype_(y.dtype()),
      device_(y.device()),
      options_(options),
      statistics_(statistics) {
  // Plans outlive the solve, so the functions own the method and the field's code. The context
  // comes as an argument.
  const auto f = [evaluate = field.evaluate](const Tensors& context) {
    return Field{.context = context, .evaluate = evaluate};
  };
  slope_ = [f](const Tensors& in, const Tensors& context) {
    return Tensors{f(context)(in[0], in[1])};
  };
  advance_ = [f, m = method](const Tensors& in, const Tensors& context) {
    return Tensors{rk_step(m, f(context), read_clock(in[0]), in[1], {}, LastSlope::leave_out).y1};
  };
  attempt_ = [f, m = method, norm](const Tensors& in, const Tensors& context) {
    const StepTimes at = read_clock(in[0]);
    const Tensor& y = in[1];
    const Step step = rk_step(m, f(context), at, y, in[2]);
    const MuteTapes quiet;  // the choice of step sizes is never differentiated
    const Tensor error = error_norm(rk_error(m, at.h, step.slopes), y, step.y1, norm);
    return Tensors{step.y1, step.slopes.back(), error};
  };
  if (options.plans) {
    advance_key_ = plan_key("advance", method);
    attempt_key_ = concat(plan_key("attempt", method), norm.rtol, " ", norm.atol);
  }
}

bool Stepper::replaying() const {
  return options_.plans && !field_.evaluate_again && !tape_listens() && !capturing();
}

Tensors Stepper::run(const std::string& key, const StepFunction& f, const Tensors& inputs) const {
  if (replaying()) return options_.plans->run(key, f, inputs, field_.context);
  return f(inputs, field_.context);
}

Tensor Stepper::clock(double t, double t1) const {
  return options_.clock ? options_.clock(t, t1) : step_clock(method_, t, t1, dtype_, device_);
}

Tensor Stepper::slope(double t, const Tensor& y) {
  ++statistics_.evaluations;
  // The clock of a step of length zero: h, t, ..
  const Tensor now = squeeze(slice(clock(t, t), 0, 1, 2), 0);
  return run("slope", slope_, {now, y})[0];
}

Tensor Stepper::advance(double t, double t1, const Tensor& y, bool last) {
  statistics_.evaluations += evaluations_of_advance(method_);
  if (last && options_.last_step) return options_.last_step(t, t1, y);
  return run(advance_key_, advance_, {clock(t, t1), y})[0];
}

Stepper::Attempt Stepper::attempt(double t, double t1, const Tensor& y, const Tensor& k_first) {
  statistics_.evaluations += method_.stages() - 1;
  const Tensors out = run(attempt_key_, attempt_, {clock(t, t1), y, k_first});
  return {out[0], method_.fsal() ? out[1] : Tensor(), out[2].item()};
}

}  // namespace slope::ode
