#include "ode/gradient_checkpointed.h"

#include <algorithm>
#include <memory>

#include "autograd/functions.h"
#include "core/ops/pointwise.h"
#include "core/plan.h"
#include "ode/gradient_reversible.h"
#include "ode/gradient_step.h"
#include "ode/gradient_times.h"
#include "ode/jumps.h"

namespace slope::ode {
namespace {

// Everything the gradient of a checkpointed solve needs. Inputs of the solve as one list: y0, the
// times if they are a tensor, the context, and the parameters of the method.
struct Checkpoints {
  Method method;
  Field field;  // without context
  std::vector<double> times;
  bool times_given = false;  // as a tensor
  std::optional<ErrorNormOptions> tolerance = {};
  StepPlans* plans = nullptr;
  std::vector<double> grid = {};
  std::vector<int> orders = {};             // Solution::orders
  bool undo = false;                        // make the states again from the last one
  KeptStates states = KeptStates();         // else: before each step, or some of them
  Tensors last_state = {}, ys = {};         // of steps to undo: the last, and the outputs
  std::unique_ptr<RecordedStep> last = {};  // the last step of fixed ones: it need not run again
  int64_t last_evaluations = 0;             // of the field, in that step
  std::shared_ptr<Statistics> statistics = {};

  size_t first_context() const { return times_given ? 2 : 1; }
  size_t place_in_grid(size_t output) const {
    const auto found = std::find(grid.begin(), grid.end(), times[output]);
    return static_cast<size_t>(found - grid.begin());
  }
};

// From the last step to the first, each computed once more from the state before it.
Tensors walk_back(Checkpoints& c, const CustomVjp& v);

// Walks back through states that are kept, after all.
Tensors walk_back_kept(Checkpoints& c, const Tensors& context, const CustomVjp& v) {
  ++c.statistics->reconstructions_lost;
  const FieldCode code(c.field);
  const Tensors parameters = code.parameters(context);
  const Solver again{.method = c.method, .stepping = StepGrid{c.grid, c.orders}};
  c.states = KeptStates();
  {
    const MuteTapes quiet;
    solve(code.field(context), v.inputs[0], c.times, again,
          {.plans = c.plans, .kept = &c.states, .parameters = &parameters});
  }
  c.undo = false;
  const Tensors gradients = walk_back(c, v);
  c.undo = true;
  c.states = KeptStates();
  return gradients;
}

// Computes steps again whose states were not kept.
class Repeating {
 public:
  Repeating(const Checkpoints& c, const Tensor& y0, const Tensors& context)
      : c_(c),
        field_(FieldCode(c.field).field(context)),
        parameters_(FieldCode(c.field).parameters(context)),
        options_{.plans = c.plans, .parameters = &parameters_},
        stepper_(c.method, field_, y0, c.tolerance, options_, statistics_) {}
  Repeating(const Repeating&) = delete;

  Tensors step(size_t n, const Tensors& state, bool lasting) {
    const MuteTapes quiet;
    const Reached made = stepper_.advance({.before = std::span(c_.grid).first(n + 1),
                                           .t1 = c_.grid[n + 1],
                                           .order = c_.orders.empty() ? 0 : c_.orders[n],
                                           .lasting = lasting},
                                          state);
    if (!made.failure.empty()) throw SolveError("gradient: a repeated step: " + made.failure);
    return made.state;
  }
  int64_t evaluations() const { return statistics_.evaluations; }

 private:
  const Checkpoints& c_;
  Field field_;
  Tensors parameters_;
  SolveOptions options_;
  Statistics statistics_;
  Stepper stepper_;
};

Tensors walk_back(Checkpoints& c, const CustomVjp& v) {
  const size_t steps = c.grid.size() - 1;
  const Tensors context(v.inputs.begin() + static_cast<int64_t>(c.first_context()), v.inputs.end());
  Tensors arriving(steps + 1);  // gradients of the states that are outputs
  for (size_t i = 0; i < v.cotangents.size(); ++i) {
    if (!v.cotangents[i].defined()) continue;
    Tensor& g = arriving[c.place_in_grid(i + 1)];
    g = g.defined() ? g + v.cotangents[i] : v.cotangents[i];
  }

  Wanted wanted{.clock = c.times_given && v.wanted[1]};
  for (size_t i = c.first_context(); i < v.wanted.size(); ++i) {
    wanted.context.push_back(v.wanted[i]);
  }
  StepGradients gradients(c.method, c.field, context, c.tolerance, c.plans, *c.statistics);
  TimeGradients dtimes(c.times);
  const bool starts = steps > 0 && c.method->start_evaluations(false) > 0;
  std::optional<Reconstruction> undone;
  Repeating repeating(c, v.inputs[0], context);
  const KeptStates::Advance repeat = [&](size_t n, const Tensors& state, bool lasting) {
    return repeating.step(n, state, lasting);
  };
  const int64_t repeated = c.states.repeated();
  if (c.undo) {
    undone.emplace(c.method, c.field, context,
                   Reconstruction::Solved{c.grid, c.last_state, c.times, c.ys}, c.plans,
                   *c.statistics);
  }
  const bool wanted_at_start = v.wanted[0] || wanted.any_context() || wanted.clock;

  Flow flow{.state = {arriving[steps]}, .context = Tensors(context.size()), .clock = {}};
  const auto flows = [&] {
    return std::any_of(flow.state.begin(), flow.state.end(),
                       [](const Tensor& x) { return x.defined(); });
  };
  for (size_t n = steps; n-- > 0;) {
    if (undone && !undone->step_back()) return walk_back_kept(c, context, v);
    if (!flows()) {  // nothing flows into later states
      flow.state = {arriving[n]};
      continue;
    }
    if (n == 0 && !starts && !v.wanted[0]) {
      if (!wanted_at_start) break;
      wanted.state = false;
    }
    const Clock clock =
        sided_clock(c.method, c.field, std::span(c.grid).first(n + 1), c.grid[n + 1],
                    c.orders.empty() ? 0 : c.orders[n], v.inputs[0].dtype());
    const Tensor from_output = wanted.state ? arriving[n] : Tensor();
    const bool recorded = c.last && n + 1 == steps;
    const Tensors state = recorded ? Tensors{} : undone ? undone->state() : c.states.at(n, repeat);
    if (recorded) {
      flow = c.last->gradient(wanted, flow, from_output);
      c.statistics->evaluations_backward += c.last_evaluations;
    } else {
      flow = gradients.step(clock, state, wanted, flow, from_output);
    }
    if (wanted.clock) dtimes.add(clock, flow.clock);
  }
  c.statistics->evaluations_backward += repeating.evaluations();
  c.statistics->repeated_steps += c.states.repeated() - repeated;
  c.statistics->states_kept = std::max(c.statistics->states_kept, c.states.most_kept());
  if (starts && flows() && wanted_at_start) {
    wanted.state = v.wanted[0];
    flow = gradients.start(c.grid[0], v.inputs[0], wanted, flow, {});
    if (wanted.clock) dtimes.add(clock_at(c.grid[0]), flow.clock);
  }

  Tensors d = {flow.state.empty() ? Tensor() : gradients.kept(flow.state[0])};
  if (c.times_given) {
    d.push_back(wanted.clock ? dtimes.result(v.inputs[1], v.inputs[0]) : Tensor());
  }
  for (const Tensor& x : flow.context) d.push_back(gradients.kept(x));
  return d;
}

// The accepted steps once more, recorded by a tape: for gradients of gradients.
Tensors record_again(const Checkpoints& c, const CustomVjp& v) {
  const auto again = [&] {
    const Tensors context(v.inputs.begin() + static_cast<int64_t>(c.first_context()),
                          v.inputs.end());
    const FieldCode code(c.field);
    const Tensors parameters = code.parameters(context);
    const Field f = code.field(context);
    SolveOptions options{.parameters = &parameters};
    if (c.times_given) options.clock = watched_clock(v.inputs[1], c.times, v.inputs[0].dtype());
    const Solver fixed{.method = c.method, .stepping = StepGrid{c.grid, c.orders}};
    const Solution s = solve(f, v.inputs[0], c.times, fixed, options);
    return Tensors(s.ys.begin() + 1, s.ys.end());
  };
  return recorded_gradients(v, again);
}

}  // namespace

Solution solve_checkpointed(const Field& field, const Tensor& y0, const std::vector<double>& times,
                            const Tensor& watched_times, const Solver& solver, StepPlans* plans,
                            States states, int64_t most_states) {
  check_stepping(solver);
  const bool keep = states == States::kept;
  if (!keep && !solver.method.facts().reversible) {
    throw ValueError(concat("solve: ", solver.method.name(),
                            " cannot be undone step by step, so it has no reversible gradient. "
                            "Take reversible-heun or alf, or the checkpointed gradient."));
  }
  if (!tape_listens()) return solve(field, y0, times, solver, {.plans = plans});
  auto c = std::make_shared<Checkpoints>(
      Checkpoints{.method = solver.method, .field = without_side_effects(field), .times = {}});
  c->states = KeptStates(most_states);
  for (Tensor& x : c->field.context) x = {};  // only their number counts
  c->times_given = watched_times.defined();
  if (const auto* how = std::get_if<Adaptive>(&solver.stepping)) {
    c->tolerance = {.atol = how->atol, .rtol = how->rtol};
  }
  if (!field.evaluate_again) c->plans = plans;

  Tensors inputs = {y0};
  if (c->times_given) inputs.push_back(watched_times);
  const Tensors parameters = solver.method->parameters(y0.dtype(), y0.device());
  const Tensors context = joined(field.context, parameters);
  inputs.insert(inputs.end(), context.begin(), context.end());

  Solution solution;
  const auto forward = [&](const Tensors&) {
    show_field(field, times[0], y0, plans);
    SolveOptions options{
        .plans = plans, .kept = keep ? &c->states : nullptr, .parameters = &parameters};
    Statistics in_last;  // what a last step that counts for itself has needed
    const bool replaying = c->plans && solver.method->replayable() && !capturing();
    if (most_states == 0 && !replaying) {
      options.last_step = [&](const Clock& at, const Tensors& state) {
        const std::vector<double>& clock = at.values;
        c->last = std::make_unique<RecordedStep>(
            step_of(solver.method, {}, &in_last), FieldCode(field),
            tensor(clock, {static_cast<int64_t>(clock.size())}, y0.dtype(), y0.device()), state,
            context);
        c->last_evaluations = solver.method->replayable()
                                  ? solver.method->step_evaluations(state.size(), false, false)
                                  : in_last.evaluations;
        return c->last->reached();
      };
    }
    solution = solve(field, y0, times, solver, options);
    if (!keep && solution.status != Status::success) {
      // The end from which to go back is not among the outputs.
      options.kept = &c->states;
      solution = solve(field, y0, times, solver, options);
    }
    *solution.statistics += in_last;
    if (solution.status != Status::success) c->last.reset();  // it is no longer among the steps
    c->times = solution.times;
    c->grid = std::move(solution.grid);
    c->orders = solution.orders;
    c->grid.resize(c->place_in_grid(c->times.size() - 1) + 1);
    c->states.cut(c->grid.size() - 1);
    c->undo = options.kept == nullptr;
    if (c->undo) {
      c->last_state = solution.state;
      c->ys = solution.ys;
    }
    c->statistics = solution.statistics;
    c->statistics->states_kept = c->states.most_kept();
    if (c->orders.size() >= c->grid.size()) c->orders.resize(c->grid.size() - 1);
    solution.grid = c->grid;
    solution.orders = c->orders;
    return Tensors(solution.ys.begin() + 1, solution.ys.end());
  };
  const auto rule = [c](const CustomVjp& v) {
    return v.differentiable ? record_again(*c, v) : walk_back(*c, v);
  };
  try {
    const Tensors ys = custom("solve", inputs, forward, rule);
    std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
    if (solution.status == Status::success) solution.y = solution.state[0] = solution.ys.back();
  } catch (const LeakError& leak) {
    throw missing_in_context(leak);
  }
  return solution;
}

}  // namespace slope::ode
