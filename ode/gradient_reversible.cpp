#include "ode/gradient_reversible.h"

#include "core/dispatch.h"
#include "core/ops/pointwise.h"
#include "core/plan.h"

namespace slope::ode {

double reconstruction_tolerance(Dtype dtype) { return dtype == Dtype::f64 ? 1e-11 : 1e-4; }

Reconstruction::Reconstruction(const Method& method, const Field& field, const Tensors& context,
                               const Solved& solved, StepPlans* plans, Statistics& statistics)
    : method_(method),
      code_(field),
      context_(context),
      solved_(solved),
      plans_(plans),
      statistics_(statistics),
      step_(solved.grid.size() - 1),
      state_(solved.last) {}

bool Reconstruction::step_back() {
  const MuteTapes quiet;
  --step_;
  const Clock clock =
      method_->clock(std::span(solved_.grid).first(step_ + 1), solved_.grid[step_ + 1]);
  const Tensor& y = state_[0];
  Tensors in = {
      tensor(clock.values, {static_cast<int64_t>(clock.values.size())}, y.dtype(), y.device())};
  in.insert(in.end(), state_.begin(), state_.end());
  const auto undo = [m = method_, code = code_](const Tensors& xs, const Tensors& context) {
    const Field f = code.field(context);
    return m->reverse({.field = f,
                       .clock = xs[0],
                       .state = Tensors(xs.begin() + 1, xs.end()),
                       .parameters = code.parameters(context)});
  };
  if (plans_ && method_->replayable() && !capturing()) {
    state_.clear();
    for (const Tensor& x : plans_->run(concat("undo ", method_->key()), undo, in, context_)) {
      state_.push_back(x.clone());
    }
  } else {
    state_ = undo(in, context_);
  }
  statistics_.evaluations_backward += method_->step_evaluations(state_.size(), false, false);
  return as_known(solved_.grid[step_]);
}

bool Reconstruction::as_known(double t) const {
  if (capturing()) return true;
  for (size_t i = 0; i < solved_.times.size(); ++i) {
    if (solved_.times[i] != t) continue;
    const double tolerance = reconstruction_tolerance(state_[0].dtype());
    const Tensor &y = solved_.ys[i], difference = state_[0] - y;
    return error_norm(difference, y, y, {.atol = tolerance, .rtol = tolerance}).item() <= 1;
  }
  return true;
}

}  // namespace slope::ode
