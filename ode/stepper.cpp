#include "ode/stepper.h"

#include <limits>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/reduce.h"
#include "core/plan.h"
#include "ode/jumps.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

// in: clock, slope or undefined, state..
StepInput step_input(const Field& f, const Tensors& in, const Tensors& parameters) {
  return {.field = f,
          .clock = in[0],
          .state = Tensors(in.begin() + 2, in.end()),
          .slope = in[1],
          .parameters = parameters};
}

Tensors step_arguments(const Tensor& clock, const Tensor& slope, const Tensors& state) {
  Tensors in = {clock, slope};
  in.insert(in.end(), state.begin(), state.end());
  return in;
}

// The scaled error of a step from y -> (), or with those of other orders -> (3).
Tensor scaled_errors(const Stepped& made, const Tensor& y, const ErrorNormOptions& tolerance,
                     const std::vector<int64_t>& parts) {
  const MuteTapes quiet;  // the choice of step sizes is never differentiated
  const auto scaled = [&](const Tensor& e) {
    if (!e.defined()) {
      return scalar(std::numeric_limits<double>::infinity(), y.dtype(), y.device());
    }
    return scaled_error(e, y, made.fresh[0], tolerance, parts);
  };
  if (made.other_errors.empty()) return scaled(made.error);
  return stack({scaled(made.error), scaled(made.other_errors[0]), scaled(made.other_errors[1])});
}

}  // namespace

FieldCode::FieldCode(const Field& field) : code_(field), size_(field.context.size()) {
  code_.context.clear();
}

Field FieldCode::field(const Tensors& context) const {
  return with_context(
      code_, Tensors(context.begin(), context.begin() + static_cast<std::ptrdiff_t>(size_)));
}

Tensors FieldCode::parameters(const Tensors& context) const {
  return Tensors(context.begin() + static_cast<std::ptrdiff_t>(size_), context.end());
}

Tensors joined(const Tensors& context, const Tensors& parameters) {
  Tensors all = context;
  all.insert(all.end(), parameters.begin(), parameters.end());
  return all;
}

Tensor scaled_error(const Tensor& e, const Tensor& y0, const Tensor& y1,
                    const ErrorNormOptions& norm, const std::vector<int64_t>& ends) {
  if (ends.empty()) return error_norm(e, y0, y1, norm);
  Tensors errors;
  for (int64_t begin = 0; const int64_t end : ends) {
    const auto part = [&](const Tensor& x) { return slice(x, 0, begin, end); };
    if (end > begin) errors.push_back(error_norm(part(e), part(y0), part(y1), norm));
    begin = end;
  }
  return max(stack(errors));
}

Clock clock_at(double t) { return {.values = {t}, .times = {t}, .slopes = {{1}}}; }

Stepper::Stepper(const Method& method, const Field& field, const Tensor& y,
                 const std::optional<ErrorNormOptions>& tolerance, const SolveOptions& options,
                 Statistics& statistics)
    : method_(method),
      field_(field),
      dtype_(y.dtype()),
      device_(y.device()),
      tolerance_(tolerance),
      options_(options),
      statistics_(statistics),
      parameters_(options.parameters ? *options.parameters
                                     : method->parameters(y.dtype(), y.device())),
      context_(joined(field.context, parameters_)) {
  const FieldCode code(field);
  slope_ = [code](const Tensors& in, const Tensors& context) {
    return Tensors{code.field(context)(squeeze(in[0], 0), in[1])};
  };
  start_ = [code, m = method](const Tensors& in, const Tensors& context) {
    return m->start(code.field(context), squeeze(in[0], 0), in[2], in[1]);
  };
  advance_ = [code, m = method](const Tensors& in, const Tensors& context) {
    const Field f = code.field(context);
    return m->step(step_input(f, in, code.parameters(context))).fresh;
  };
  attempt_ = [code, m = method, tolerance, parts = options.error_parts](const Tensors& in,
                                                                        const Tensors& context) {
    const Field f = code.field(context);
    StepInput input = step_input(f, in, code.parameters(context));
    input.with_error = true;
    input.tolerance = tolerance;
    const Stepped made = m->step(input);
    Tensors out = {scaled_errors(made, input.state[0], *tolerance, parts)};
    if (m.facts().fsal) out.push_back(made.slope);
    out.insert(out.end(), made.fresh.begin(), made.fresh.end());
    return out;
  };
  if (options.plans) {
    advance_key_ = concat("advance ", method->key());
    attempt_key_ = concat("attempt ", method->key());
    if (tolerance)
      attempt_key_ += concat(number_text(tolerance->rtol), " ", number_text(tolerance->atol));
    for (int64_t end : options.error_parts) attempt_key_ += concat(" ", end);
  }
}

bool Stepper::replaying() const {
  return options_.plans && method_->replayable() && !field_.evaluate_again && !tape_listens() &&
         !capturing();
}

Tensors Stepper::run(const std::string& key, const StepFunction& f, const Tensors& inputs) const {
  if (replaying()) return options_.plans->run(key, f, inputs, context_);
  return f(inputs, context_);
}

Tensor Stepper::upload(const Clock& clock) const {
  if (options_.clock) return options_.clock(clock);
  return tensor(clock.values, {static_cast<int64_t>(clock.values.size())}, dtype_, device_);
}

Tensor Stepper::slope(double t, const Tensor& y) {
  ++statistics_.evaluations;
  return run("slope", slope_, {upload(clock_at(t)), y})[0];
}

Tensors Stepper::start(double t0, const Tensor& y0, const Tensor& slope) {
  const int64_t evaluations = method_->start_evaluations(slope.defined());
  statistics_.evaluations += evaluations;
  if (evaluations == 0) return method_->start(field_, {}, y0, slope);
  const Tensors in = {upload(clock_at(t0)), slope, y0};
  if (!replaying()) return start_(in, context_);
  Tensors state = run(concat("start ", method_->key()), start_, in);
  for (Tensor& x : state) x = kept(x);
  return state;
}

Reached Stepper::advance(const Advance& to, const Tensors& state) {
  if (method_->replayable()) {
    statistics_.evaluations += method_->step_evaluations(state.size(), false, false);
  }
  const Clock at = sided_clock(method_, field_, to.before, to.t1, to.order, dtype_);
  if (to.last && options_.last_step) return options_.last_step(at, state);
  const Tensor clock = upload(at);
  Stepped made;
  if (method_->replayable()) {
    made.fresh = run(advance_key_, advance_, step_arguments(clock, {}, state));
  } else {
    made = method_->step({.field = field_,
                          .clock = clock,
                          .state = state,
                          .parameters = parameters_,
                          .tolerance = tolerance_,
                          .statistics = &statistics_});
  }
  if (!made.failure.empty()) return {.state = {}, .failure = made.failure};
  // A method of several steps will want what is new for longer than until the next replay.
  for (size_t i = 0; i < made.fresh.size(); ++i) {
    if (to.lasting || (i > 0 && method_.facts().multistep)) made.fresh[i] = kept(made.fresh[i]);
  }
  return {.state = method_->next(state, made.fresh)};
}

Stepper::Attempt Stepper::attempt(std::span<const double> before, double t1, const Tensors& state,
                                  const Tensor& k_first, int order) {
  const Tensor clock = upload(sided_clock(method_, field_, before, t1, order, dtype_));
  if (method_->replayable()) {
    statistics_.evaluations += method_->step_evaluations(state.size(), k_first.defined(), true);
    Tensors out = run(attempt_key_, attempt_, step_arguments(clock, k_first, state));
    const std::vector<double> errors = out[0].values();
    const size_t first = method_.facts().fsal ? 2 : 1;
    return {.fresh = Tensors(out.begin() + static_cast<std::ptrdiff_t>(first), out.end()),
            .k_last = first == 2 ? out[1] : Tensor(),
            .error = errors[0],
            .errors = errors,
            .failure = {}};
  }
  const Stepped made = method_->step({.field = field_,
                                      .clock = clock,
                                      .state = state,
                                      .slope = k_first,
                                      .parameters = parameters_,
                                      .with_error = true,
                                      .tolerance = tolerance_,
                                      .statistics = &statistics_});
  if (!made.failure.empty()) {
    return {.fresh = {},
            .k_last = {},
            .error = std::numeric_limits<double>::infinity(),
            .errors = {},
            .failure = made.failure};
  }
  const std::vector<double> errors =
      scaled_errors(made, state[0], *tolerance_, options_.error_parts).values();
  return {.fresh = made.fresh,
          .k_last = made.slope,
          .error = errors[0],
          .errors = errors,
          .failure = {}};
}

Tensors Stepper::accepted(const Tensors& state, const Attempt& attempt) const {
  Tensors fresh;
  for (const Tensor& x : attempt.fresh) fresh.push_back(kept(x));
  return method_->next(state, fresh);
}

}  // namespace slope::ode
