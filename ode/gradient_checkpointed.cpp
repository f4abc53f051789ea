#include "ode/gradient_checkpointed.h"

#include <algorithm>
#include <memory>

#include "autograd/functions.h"
#include "core/ops/pointwise.h"
#include "core/plan.h"
#include "ode/gradient_times.h"
#include "ode/stepper.h"

namespace slope::ode {
namespace {

struct Wanted {
  bool y = false, clock = false;
  std::vector<bool> context;
};

// One step on a tape of its own.
class RecordedStep {
 public:
  RecordedStep(const Tableau& m, const FieldFunction& evaluate, const Tensor& clock,
               const Tensor& y, const Tensors& context)
      : clock_(clock.alias()), y_(y.alias()), context_(aliases(context)), tape_(watched()) {
    const Field f{.context = context_, .evaluate = evaluate};
    y1_ = rk_step(m, f, read_clock(clock_), y_, {}, LastSlope::leave_out).y1;
    deaf_ = std::make_unique<Deafen>(tape_);
  }
  const Tensor& y1() const { return y1_; }

  // in: the clock, y, the gradient of y1, and then what the gradients of y and of each context
  // tensor start from (undefined: zero). Gradients of y, the clock and the context, as far as
  // wanted. The sums go on from where they are; a step is never summed up first. So they have the
  // bits of one tape over the whole solve.
  Tensors gradient(const Wanted& wanted, const Tensors& in) {
    Tensors xs, results = {y1_}, gradients = {in[2]};
    const auto add = [&](const Tensor& x, const Tensor& start) {
      xs.push_back(x);
      results.push_back(x);
      gradients.push_back(start);
    };
    if (wanted.y) add(y_, in[3]);
    if (wanted.clock) add(clock_, {});
    for (size_t i = 0; i < context_.size(); ++i) {
      if (wanted.context[i]) add(context_[i], in[4 + i]);
    }
    return tape_.gradient(results, xs, gradients);
  }

 private:
  // Names of its own for this step: a tensor may stand in the context twice, or be a state too.
  static Tensors aliases(const Tensors& xs) {
    Tensors named;
    for (const Tensor& x : xs) named.push_back(x.defined() ? x.alias() : x);
    return named;
  }
  Tensors watched() const {
    Tensors all = {clock_, y_};
    for (const Tensor& x : context_) {
      if (x.defined() && is_float(x.dtype())) all.push_back(x);
    }
    return all;
  }

  Tensor clock_, y_;
  Tensors context_;
  Tape tape_;
  std::unique_ptr<Deafen> deaf_;
  Tensor y1_;
};

// Everything the gradient of a checkpointed solve needs. Inputs of the solve as one list: y0, the
// times if they are a tensor, then the context.
struct Checkpoints {
  Tableau method;
  Field field;  // without context
  std::vector<double> times;
  bool times_given = false;  // as a tensor
  StepPlans* plans = nullptr;
  std::vector<double> grid = {};
  Tensors states = {};                      // at each time of the grid
  std::unique_ptr<RecordedStep> last = {};  // the last step of fixed ones: it need not run again
  std::shared_ptr<Statistics> statistics = {};

  size_t first_context() const { return times_given ? 2 : 1; }
  size_t place_in_grid(size_t output) const {
    const auto found = std::find(grid.begin(), grid.end(), times[output]);
    return static_cast<size_t>(found - grid.begin());
  }
};

// The gradient of one step, computing the step once more. See RecordedStep::gradient.
StepFunction step_gradient(const Tableau& m, const Field& field, const Wanted& wanted) {
  return [m, evaluate = field.evaluate, wanted](const Tensors& in, const Tensors& context) {
    return RecordedStep(m, evaluate, in[0], in[1], context).gradient(wanted, in);
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
    const bool recorded = c.last && n + 1 == steps;
    const Tensors out = recorded ? c.last->gradient(wanted, inputs)
                        : replay ? c.plans->run(key, function, inputs, context)
                                 : function(inputs, context);
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
    SolveOptions options{.plans = plans, .keep_states = true};
    if (!c->plans || capturing()) {
      options.last_step = [&](double t, double t1, const Tensor& y) {
        const Tensor clock = step_clock(solver.method, t, t1, y.dtype(), y.device());
        c->last =
            std::make_unique<RecordedStep>(solver.method, field.evaluate, clock, y, field.context);
        return c->last->y1();
      };
    }
    solution = solve(field, y0, times, solver, options);
    if (solution.status != Status::success) c->last.reset();  // it is no longer among the steps
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
