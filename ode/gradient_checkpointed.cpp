#include "ode/gradient_checkpointed.h"

#include <algorithm>

#include "autograd/functions.h"
#include "core/ops/pointwise.h"
#include "core/plan.h"
#include "ode/gradient_times.h"
#include "ode/stepper.h"

namespace slope::ode {
namespace {

// Everything the gradient of a checkpointed solve needs. Inputs of the solve as one list: y0, the
// times if they are a tensor, then the context.
struct Checkpoints {
  Tableau method;
  Field field;  // without context
  std::vector<double> times;
  bool times_given = false;  // as a tensor
  StepPlans* plans = nullptr;
  std::vector<double> grid = {};
  Tensors states = {};  // at each time of the grid
  std::shared_ptr<Statistics> statistics = {};

  size_t first_context() const { return times_given ? 2 : 1; }
  size_t place_in_grid(size_t output) const {
    const auto found = std::find(grid.begin(), grid.end(), times[output]);
    return static_cast<size_t>(found - grid.begin());
  }
};

struct Wanted {
  bool y = false, clock = false;
  std::vector<bool> context;
};

// The gradient of one step as a function. Its inputs are the clock, y, the gradient of y1, and then
// what the gradients of y and of each context tensor start from (undefined: zero); its results the
// gradients of y, the clock and the context, as far as they are wanted. The sums start from what is
// there, and a step is never summed up first: so they have the bits of one tape over the whole
// solve.
StepFunction step_gradient(const Tableau& m, const Field& field, const Wanted& wanted) {
  return [m, evaluate = field.evaluate, wanted](const Tensors& in, const Tensors& given) {
    Field f{.context = {}, .evaluate = evaluate};
    for (const Tensor& x : given) f.context.push_back(x.defined() ? x.alias() : x);
    const Tensor clock = in[0].alias(), y = in[1].alias();
    Tensors xs;
    if (wanted.y) xs.push_back(y);
    if (wanted.clock) xs.push_back(clock);
    for (size_t i = 0; i < f.context.size(); ++i) {
      if (wanted.context[i]) xs.push_back(f.context[i]);
    }
    Tape tape(xs);
    Tensors results = {rk_step(m, f, read_clock(clock), y, {}, LastSlope::leave_out).y1};
    Tensors gradients = {in[2]};
    if (wanted.y) {
      results.push_back(y);
      gradients.push_back(in[3]);
    }
    for (size_t i = 0; i < f.context.size(); ++i) {
      if (!wanted.context[i]) continue;
      results.push_back(f.context[i]);
      gradients.push_back(in[4 + i]);
    }
    return tape.gradient(results, xs, gradients);
  };
}

std::string gradient_key(const Tableau& m, const Wanted& wanted) {
  std::string key = plan_key("gradient", m);
  key += wanted.y ? 'y' : '-';
  key += wanted.clock ? 't' : '-';
  for (bool w : wanted.context) key += w ? 'w' : '-';
  return key;
}

// From the last step to the first, each computed once more from the state before it.
Tensors walk_back(const Checkpoints& c, const CustomVjp& v) {
  const size_t steps = c.grid.size() - 1;
  const Tensors context(v.inputs.begin() + static_cast<int64_t>(c.first_context()), v.inputs.end());
  Tensors arriving(steps + 1);  // gradients of the states that are outputs
  for (size_t i = 0; i < v.cotangents.size(); ++i) {
    if (!v.cotangents[i].defined()) continue;
    Tensor& g = arriving[c.place_in_grid(i + 1)];
    g = g.defined() ? g + v.cotangents[i] : v.cotangents[i];
  }

  Wanted wanted{.y = true, .clock = c.times_given && v.wanted[1], .context = {}};
  for (size_t i = c.first_context(); i < v.wanted.size(); ++i) {
    wanted.context.push_back(v.wanted[i]);
  }
  const bool any_context =
      std::find(wanted.context.begin(), wanted.context.end(), true) != wanted.context.end();
  const bool replay = c.plans && !capturing() && !tape_listens();
  StepFunction function = step_gradient(c.method, c.field, wanted);
  std::string key = gradient_key(c.method, wanted);

  Tensor dy = arriving[steps];
  Tensors dcontext(context.size());
  TimeGradients dtimes(c.method, c.times);
  for (size_t n = steps; n-- > 0;) {
    if (!dy.defined()) {  // nothing flows into later states
      dy = arriving[n];
      continue;
    }
    if (n == 0 && !v.wanted[0]) {
      if (!any_context && !wanted.clock) break;
      wanted.y = false;
      function = step_gradient(c.method, c.field, wanted);
      key = gradient_key(c.method, wanted);
    }
    const Tensor clock = step_clock(c.method, c.grid[n], c.grid[n + 1], dy.dtype(), dy.device());
    Tensors inputs = {clock, c.states[n], dy, wanted.y ? arriving[n] : Tensor()};
    inputs.insert(inputs.end(), dcontext.begin(), dcontext.end());
    const Tensors out =
        replay ? c.plans->run(key, function, inputs, context) : function(inputs, context);
    c.statistics->evaluations_backward += evaluations_of_advance(c.method);

    size_t next = 0;
    dy = wanted.y ? out[next++] : Tensor();
    if (wanted.clock) dtimes.add(c.grid[n], c.grid[n + 1], out[next++]);
    for (size_t i = 0; i < dcontext.size(); ++i) {
      if (wanted.context[i]) dcontext[i] = out[next++];
    }
  }

  const auto kept = [&](const Tensor& x) { return replay && x.defined() ? x.clone() : x; };
  Tensors d = {kept(dy)};
  if (c.times_given) d.push_back(wanted.clock ? dtimes.result(v.inputs[1], c.states[0]) : Tensor());
  for (const Tensor& x : dcontext) d.push_back(kept(x));
  return d;
}

// The accepted steps once more, recorded by a tape: for gradients of gradients.
Tensors record_again(const Checkpoints& c, const CustomVjp& v) {
  Tensors xs;
  for (size_t i = 0; i < v.inputs.size(); ++i) {
    if (v.wanted[i]) xs.push_back(v.inputs[i]);
  }
  const auto again = [&](const Tensors&) {
    Field f = c.field;
    f.context.assign(v.inputs.begin() + static_cast<int64_t>(c.first_context()), v.inputs.end());
    SolveOptions options;
    if (c.times_given) {
      options.clock = watched_clock(c.method, v.inputs[1], c.times, v.inputs[0].dtype());
    }
    const Solver fixed{.method = c.method, .stepping = StepGrid{c.grid}};
    const Solution s = solve(f, v.inputs[0], c.times, fixed, options);
    return Tensors(s.ys.begin() + 1, s.ys.end());
  };
  const Tensors gradients = vjp(again, xs, v.cotangents).gradients;
  Tensors d(v.inputs.size());
  for (size_t i = 0, next = 0; i < d.size(); ++i) {
    if (v.wanted[i]) d[i] = gradients[next++];
  }
  return d;
}

}  // namespace

Solution solve_checkpointed(const Field& field, const Tensor& y0, const std::vector<double>& times,
                            const Tensor& watched_times, const Solver& solver, StepPlans* plans) {
  if (!tape_listens()) return solve(field, y0, times, solver, {.plans = plans});
  auto c = std::make_shared<Checkpoints>(
      Checkpoints{.method = solver.method, .field = without_side_effects(field), .times = {}});
  c->field.context.clear();
  c->times_given = watched_times.defined();
  if (!field.evaluate_again) c->plans = plans;

  Tensors inputs = {y0};
  if (c->times_given) inputs.push_back(watched_times);
  inputs.insert(inputs.end(), field.context.begin(), field.context.end());

  Solution solution;
  const auto forward = [&](const Tensors&) {
    // Replayed steps show nothing to whoever looks for tensors missing in the context.
    if (plans && plans->first_gradient()) {
      without_side_effects(field)(scalar(times[0], y0.dtype(), y0.device()), y0);
    }
    solution = solve(field, y0, times, solver, {.plans = plans, .keep_states = true});
    c->times = solution.times;
    c->grid = std::move(solution.grid);
    c->grid.resize(c->place_in_grid(c->times.size() - 1) + 1);
    c->states = std::move(solution.states);
    c->statistics = solution.statistics;
    solution.grid = c->grid;
    solution.states.clear();
    return Tensors(solution.ys.begin() + 1, solution.ys.end());
  };
  const auto rule = [c](const CustomVjp& v) {
    return v.differentiable ? record_again(*c, v) : walk_back(*c, v);
  };
  try {
    const Tensors ys = custom("solve", inputs, forward, rule);
    std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
    if (solution.status == Status::success) solution.y = solution.ys.back();
  } catch (const LeakError& leak) {
    throw ValueError(concat("solve: the field uses a watched tensor ", leak.tensor,
                            " that is not in its context, so its gradient would be lost. Add it: "
                            "Field{.context = {w, ...}}."));
  }
  return solution;
}

}  // namespace slope::ode
