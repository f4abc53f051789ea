#include "ode/gradient_adjoint.h"

#include <algorithm>
#include <memory>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/gradient_step.h"

namespace slope::ode {
namespace {

Tensor flat(const Tensor& x) { return contiguous(x).reshape({-1}); }

// The augmented state: y, a and the gradients of the wanted context tensors, side by side as (M).
class Layout {
 public:
  Layout(const Tensor& y, const Tensors& context, const std::vector<bool>& wanted)
      : wanted_(wanted), shapes_{y.shape(), y.shape()} {
    for (size_t i = 0; i < context.size(); ++i) {
      if (wanted[i]) shapes_.push_back(context[i].shape());
    }
  }
  const std::vector<bool>& wanted() const { return wanted_; }

  Tensor join(const Tensors& parts) const {
    Tensors pieces;
    for (const Tensor& part : parts) pieces.push_back(flat(part));
    return concatenate(pieces, 0);
  }
  Tensors split(const Tensor& z) const {
    Tensors parts;
    int64_t begin = 0;
    for (const Shape& shape : shapes_) {
      parts.push_back(slice(z, 0, begin, begin + shape.size()).reshape(shape));
      begin += shape.size();
    }
    return parts;
  }
  // The ends of the parts that an error estimate looks at.
  std::vector<int64_t> error_parts(bool seminorm) const {
    std::vector<int64_t> ends;
    for (size_t i = 0; i < (seminorm ? 2 : shapes_.size()); ++i)
      ends.push_back((ends.empty() ? 0 : ends.back()) + shapes_[i].size());
    return ends;
  }
  // What plans of the backward solve depend on beside its shapes.
  std::string key() const {
    std::string key = concat("adjoint ", shapes_[0]);
    for (bool w : wanted_) key += w ? 'w' : '-';
    return key;
  }

 private:
  std::vector<bool> wanted_;
  std::vector<Shape> shapes_;
};

// The right side of the augmented system.
Field augmented_field(const Field& field, const Layout& layout) {
  const auto evaluate = [f = field.evaluate, layout](const Tensor& t, const Tensor& z,
                                                     const Tensors& context) {
    const Tensors parts = layout.split(z);
    const Tensor &y = parts[0], &a = parts[1];
    Tensors named = context, xs = {y};
    for (size_t i = 0; i < context.size(); ++i) {
      if (!layout.wanted()[i]) continue;
      // A name of its own, as a tensor may stand in the context twice; by an op, so that an outer
      // tape, for gradients of gradients, knows what it is.
      named[i] = expand(context[i], context[i].shape());
      xs.push_back(named[i]);
    }
    Tape tape(xs);
    const Tensor slope = Field{.context = named, .evaluate = f}(t, y);
    const Deafen deaf(tape);
    Tensors rates = {slope};
    for (const Tensor& d : tape.gradient(slope, xs, a)) rates.push_back(neg(d));
    return layout.join(rates);
  };
  return {.context = field.context, .evaluate = evaluate};
}

// What the gradient of a solve needs to know of it. Inputs of the solve as one list: y0, the times
// if they are a tensor, then the context. Outputs: the states at times[1], times[2], ..
struct Forward {
  Field field;  // without context
  std::vector<double> times;
  std::vector<double> grid;
  bool times_given = false;  // as a tensor
  Solver backward;
  bool own_solver = false;  // not the forward one
  bool seminorm = false;
  StepPlans* plans = nullptr;
  std::shared_ptr<Statistics> statistics;

  size_t first_context() const { return times_given ? 2 : 1; }

  // The solver for one interval between output times, from its later end to its earlier one. Fixed
  // steps are those of the way forward, or the backward solver's own over the whole time.
  Solver between(double from, double to) const {
    if (std::holds_alternative<Adaptive>(backward.stepping)) return backward;
    std::vector<double> all = grid;
    if (own_solver) {
      all = step_grid(backward.stepping, std::vector<double>(times.rbegin(), times.rend()));
    } else {
      std::reverse(all.begin(), all.end());
    }
    const auto begin = std::find(all.begin(), all.end(), from);
    const auto end = std::find(begin, all.end(), to);
    return {.method = backward.method, .stepping = StepGrid{{begin, end + 1}}};
  }
};

// The gradients of all inputs, by solving the augmented system from the last output that a gradient
// arrives at back to the start.
Tensors solve_backward(const Forward& c, const CustomVjp& v) {
  const auto first = static_cast<std::ptrdiff_t>(c.first_context());
  Field field = c.field;
  field.context.assign(v.inputs.begin() + first, v.inputs.end());
  const std::vector<bool> wanted(v.wanted.begin() + first, v.wanted.end());
  const Tensor& y0 = v.inputs[0];
  const Layout layout(y0, field.context, wanted);
  const Field augmented = augmented_field(field, layout);
  const std::vector<int64_t> error_parts = layout.error_parts(c.seminorm);
  StepPlans* plans = c.plans ? &c.plans->of(layout.key()) : nullptr;

  Tensors state = {y0, {}};  // y, a, g..
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) state.push_back(zeros_like(field.context[i]));
  }
  Tensors dtimes(c.times.size());
  const auto along_slope = [&](size_t j, const Tensor& y, const Tensor& g) {
    ++c.statistics->evaluations_backward;
    dtimes[j] = sum(g * field(scalar(c.times[j], y.dtype(), y.device()), y));
  };
  const bool times_wanted = c.times_given && v.wanted[1];

  for (size_t j = v.outputs.size(); j > 0; --j) {
    const Tensor& arriving = v.cotangents[j - 1];
    if (arriving.defined()) {
      state[1] = state[1].defined() ? state[1] + arriving : arriving;
      if (times_wanted) along_slope(j, v.outputs[j - 1], arriving);
    }
    if (!state[1].defined()) continue;  // nothing flows into later states
    state[0] = v.outputs[j - 1];
    const Solution s =
        solve(augmented, layout.join(state), {c.times[j], c.times[j - 1]},
              c.between(c.times[j], c.times[j - 1]), {.plans = plans, .error_parts = error_parts});
    if (s.status != Status::success)
      throw SolveError("gradient: the adjoint has no solution. " + s.message);
    c.statistics->evaluations_backward += s.statistics->evaluations;
    state = layout.split(s.y);
  }

  const Tensor& a = state[1];
  if (times_wanted && a.defined()) along_slope(0, y0, neg(a));
  Tensors d = {a};
  if (c.times_given) {
    for (Tensor& x : dtimes) {
      if (!x.defined()) x = zeros({}, y0.dtype(), y0.device());
    }
    d.push_back(times_wanted ? cast(stack(dtimes), v.inputs[1].dtype()) : Tensor());
  }
  size_t next = 2;
  for (bool w : wanted) d.push_back(w && a.defined() ? state[next++] : Tensor());
  return d;
}

}  // namespace

Solution solve_adjoint(const Field& field, const Tensor& y0, const std::vector<double>& times,
                       const Tensor& watched_times, const Solver& solver,
                       const AdjointOptions& options, bool seminorm, StepPlans* plans) {
  if (!tape_listens()) return solve(field, y0, times, solver, {.plans = plans});
  auto c = std::make_shared<Forward>();
  c->field = without_side_effects(field);
  c->field.context.clear();
  c->times_given = watched_times.defined();
  c->backward = options.solver.value_or(solver);
  c->own_solver = options.solver.has_value();
  c->seminorm = seminorm;
  if (!field.evaluate_again) c->plans = plans;

  Tensors inputs = {y0};
  if (c->times_given) inputs.push_back(watched_times);
  inputs.insert(inputs.end(), field.context.begin(), field.context.end());

  Solution solution;
  const auto forward = [&](const Tensors&) {
    show_field(field, times[0], y0, plans);
    solution = solve(field, y0, times, solver, {.plans = plans});
    c->times = solution.times;
    c->grid = solution.grid;
    c->statistics = solution.statistics;
    return Tensors(solution.ys.begin() + 1, solution.ys.end());
  };
  try {
    const Tensors ys =
        custom("solve", inputs, forward, [c](const CustomVjp& v) { return solve_backward(*c, v); });
    std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
    if (solution.status == Status::success) solution.y = solution.ys.back();
  } catch (const LeakError& leak) {
    throw missing_in_context(leak);
  }
  return solution;
}

}  // namespace slope::ode
