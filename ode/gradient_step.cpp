#include "ode/gradient_step.h"

#include <algorithm>

#include "core/ops/movement.h"
#include "core/plan.h"
#include "ode/per_sample_rows.h"

namespace slope::ode {
namespace {

// Names of its own for one step: a tensor may stand in the context twice, or be a state too.
Tensors aliases(const Tensors& xs) {
  Tensors named;
  for (const Tensor& x : xs) named.push_back(x.defined() ? x.alias() : x);
  return named;
}

Tensors watched(const Tensor& clock, const Tensors& state, const Tensors& context) {
  Tensors all = {clock};
  all.insert(all.end(), state.begin(), state.end());
  for (const Tensor& x : context) {
    if (x.defined() && is_float(x.dtype())) all.push_back(x);
  }
  return all;
}

Tensor uploaded(const Clock& clock, const Tensor& y) {
  return tensor(clock.values, {static_cast<int64_t>(clock.values.size())}, y.dtype(), y.device());
}

// A Flow as one list, as plans want it: state, context, and then what is given of clock.
Tensors flat(const Flow& flow) {
  Tensors all = flow.state;
  all.insert(all.end(), flow.context.begin(), flow.context.end());
  return all;
}

// The next `count` of all.
Tensors part(const Tensors& all, size_t& next, size_t count) {
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(next);
  next += count;
  return Tensors(begin, begin + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

void show_field(const Field& field, double t0, const Tensor& y0, StepPlans* plans) {
  if (!plans || !plans->first_gradient()) return;
  without_side_effects(field)(scalar(t0, y0.dtype(), y0.device()), y0);
}

void show_field_of_rows(const Field& field, double t0, const Tensor& y0, StepPlans* plans) {
  if (!plans || !plans->first_gradient()) return;
  const std::vector<double> ts(static_cast<size_t>(y0.dim(0)), t0);
  without_side_effects(field)(row_values(ts, y0), y0);
}

ValueError missing_in_context(const LeakError& leak) {
  return ValueError(concat("solve: the field uses a watched tensor ", leak.tensor,
                           " that is not in its context, so its gradient would be lost. Add it: "
                           "Field{.context = {w, ...}}."));
}

Tensors recorded_gradients(const CustomVjp& v, const std::function<Tensors()>& again) {
  Tensors xs;
  for (size_t i = 0; i < v.inputs.size(); ++i) {
    if (v.wanted[i]) xs.push_back(v.inputs[i]);
  }
  const Tensors gradients =
      vjp([&](const Tensors&) { return again(); }, xs, v.cotangents).gradients;
  Tensors d(v.inputs.size());
  for (size_t i = 0, next = 0; i < d.size(); ++i) {
    if (v.wanted[i]) d[i] = gradients[next++];
  }
  return d;
}

bool Wanted::any_context() const {
  return std::find(context.begin(), context.end(), true) != context.end();
}

StateFunction step_of(const Method& method, const std::optional<ErrorNormOptions>& tolerance,
                      Statistics* statistics) {
  return [=](const Field& f, const Tensor& clock, const Tensors& state,
             const Tensors& parameters) -> Reached {
    const Stepped made = method->step({.field = f,
                                       .clock = clock,
                                       .state = state,
                                       .parameters = parameters,
                                       .tolerance = tolerance,
                                       .statistics = statistics});
    if (!made.failure.empty()) return {.state = {}, .failure = made.failure};
    return {.state = method->next(state, made.fresh)};
  };
}

StateFunction start_of(const Method& method) {
  return [=](const Field& f, const Tensor& clock, const Tensors& state, const Tensors&) -> Reached {
    return {.state = method->start(f, squeeze(clock, 0), state[0], {})};
  };
}

RecordedStep::RecordedStep(const StateFunction& function, const FieldCode& code,
                           const Tensor& clock, const Tensors& state, const Tensors& context)
    : clock_(clock.alias()),
      state_(aliases(state)),
      context_(aliases(context)),
      tape_(watched(clock_, state_, context_)),
      reached_(function(code.field(context_), clock_, state_, code.parameters(context_))) {
  deaf_ = std::make_unique<Deafen>(tape_);
}

Flow RecordedStep::gradient(const Wanted& wanted, const Flow& behind, const Tensor& arriving) {
  Tensors xs, results = reached_.state, gradients = behind.state;
  gradients.resize(results.size());
  const auto add = [&](const Tensor& x, const Tensor& start) {
    xs.push_back(x);
    results.push_back(x);
    gradients.push_back(start);
  };
  if (wanted.state) {
    for (size_t i = 0; i < state_.size(); ++i) add(state_[i], i == 0 ? arriving : Tensor());
  }
  if (wanted.clock) add(clock_, {});
  for (size_t i = 0; i < context_.size(); ++i) {
    if (wanted.context[i]) add(context_[i], behind.context[i]);
  }
  const Tensors found = tape_.gradient(results, xs, gradients);

  Flow flow{.state = {}, .context = Tensors(context_.size()), .clock = {}};
  size_t next = 0;
  if (wanted.state) flow.state = part(found, next, state_.size());
  if (wanted.clock) flow.clock = found[next++];
  for (size_t i = 0; i < context_.size(); ++i) {
    if (wanted.context[i]) flow.context[i] = found[next++];
  }
  return flow;
}

StepGradients::StepGradients(const Method& method, const Field& field, const Tensors& context,
                             const std::optional<ErrorNormOptions>& tolerance, StepPlans* plans,
                             Statistics& statistics)
    : method_(method),
      code_(field),
      context_(context),
      tolerance_(tolerance),
      plans_(plans),
      replay_(plans && method->replayable() && !capturing() && !tape_listens()),
      statistics_(statistics) {}

Flow StepGradients::step(const Clock& clock, const Tensors& state, const Wanted& wanted,
                         const Flow& behind, const Tensor& arriving) {
  return step(uploaded(clock, state[0]), state, wanted, behind, arriving);
}

Flow StepGradients::step(const Tensor& clock, const Tensors& state, const Wanted& wanted,
                         const Flow& behind, const Tensor& arriving) {
  Statistics again;  // what a step that counts for itself has needed
  const Flow flow = run("gradient ", step_of(method_, tolerance_, &again), clock, state, wanted,
                        behind, arriving);
  statistics_.evaluations_backward += method_->replayable()
                                          ? method_->step_evaluations(state.size(), false, false)
                                          : again.evaluations;
  return flow;
}

Flow StepGradients::start(double t0, const Tensor& y0, const Wanted& wanted, const Flow& behind,
                          const Tensor& arriving) {
  statistics_.evaluations_backward += method_->start_evaluations(false);
  return run("start gradient ", start_of(method_), uploaded(clock_at(t0), y0), {y0}, wanted, behind,
             arriving);
}

Flow StepGradients::run(const char* what, const StateFunction& function, const Tensor& clock,
                        const Tensors& state, const Wanted& wanted, const Flow& behind,
                        const Tensor& arriving) {
  if (!replay_) {
    return RecordedStep(function, code_, clock, state, context_).gradient(wanted, behind, arriving);
  }
  // As one list: the clock, y's arriving gradient, the state, and what flows in from behind.
  const size_t states = state.size(), behind_states = behind.state.size();
  const auto replayed = [=, code = code_](const Tensors& in, const Tensors& context) {
    size_t next = 2;
    const Tensors own_state = part(in, next, states);
    Flow into{.state = part(in, next, behind_states), .context = {}, .clock = {}};
    into.context = part(in, next, context.size());
    const Flow flow =
        RecordedStep(function, code, in[0], own_state, context).gradient(wanted, into, in[1]);
    Tensors out;
    const auto add = [&](const Tensor& x) {
      const auto same = [&](const Tensor& given) {
        return given.defined() && given.id() == x.id();
      };
      // A result is a buffer of its own, also where a gradient only passes through.
      if (x.defined()) out.push_back(std::any_of(in.begin(), in.end(), same) ? copy(x) : x);
    };
    for (const Tensor& x : flow.state) add(x);
    add(flow.clock);
    for (const Tensor& x : flow.context) add(x);
    return out;
  };
  std::string key = concat(what, method_->key(), " ", states, " ", behind_states, " ");
  key += wanted.state ? 'y' : '-';
  key += wanted.clock ? 't' : '-';
  for (bool w : wanted.context) key += w ? 'w' : '-';
  Tensors in = {clock, arriving};
  for (const Tensors& more : {state, flat(behind)}) in.insert(in.end(), more.begin(), more.end());

  const Tensors& out = plans_->run(key, replayed, in, context_);
  Flow flow{.state = {}, .context = Tensors(context_.size()), .clock = {}};
  size_t next = 0;
  if (wanted.state) flow.state = part(out, next, states);
  if (wanted.clock) flow.clock = out[next++];
  for (size_t i = 0; i < context_.size(); ++i) {
    if (wanted.context[i]) flow.context[i] = out[next++];
  }
  return flow;
}

}  // namespace slope::ode
