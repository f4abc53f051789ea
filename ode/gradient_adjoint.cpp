#include "ode/gradient_adjoint.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <utility>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/dense.h"
#include "ode/gradient_step.h"
#include "ode/jumps.h"

namespace slope::ode {
namespace {

Tensor flat(const Tensor& x) { return contiguous(x).reshape({-1}); }

// What the solve backward in time carries, side by side as (M): y unless it is interpolated, a, and
// the gradients of the wanted context tensors.
class Layout {
 public:
  Layout(const Tensor& y, const Tensors& context, const std::vector<bool>& wanted,
         bool interpolated)
      : wanted_(wanted), states_(interpolated ? 1 : 2), shapes_(states_, y.shape()) {
    for (size_t i = 0; i < context.size(); ++i) {
      if (wanted[i]) shapes_.push_back(context[i].shape());
    }
  }
  const std::vector<bool>& wanted() const { return wanted_; }
  bool interpolated() const { return states_ == 1; }

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
    for (size_t i = 0; i < (seminorm ? states_ : shapes_.size()); ++i)
      ends.push_back((ends.empty() ? 0 : ends.back()) + shapes_[i].size());
    return ends;
  }
  // What plans of the backward solve depend on beside its shapes.
  std::string key() const {
    std::string key = concat("adjoint ", states_, " ", shapes_[0]);
    for (bool w : wanted_) key += w ? 'w' : '-';
    return key;
  }

 private:
  std::vector<bool> wanted_;
  size_t states_;
  std::vector<Shape> shapes_;
};

// y(t) inside a step of the way forward, as tensors in the context of the augmented system: where
// the step begins, its size, y there, and the terms of the interpolant.
Tensors piece_of(const Interpolant& inside, double t, double t1, const Tensor& y) {
  Tensors piece = {scalar(t, y.dtype(), y.device()), scalar(t1 - t, y.dtype(), y.device()), y};
  piece.insert(piece.end(), inside.terms().begin(), inside.terms().end());
  return piece;
}
Tensor interpolated(std::span<const Tensor> piece, const Tensor& t) {
  return polynomial(piece[2], Tensors(piece.begin() + 3, piece.end()), (t - piece[0]) / piece[1]);
}

// The right side of the augmented system. Where y is interpolated, the piece of the step that t
// lies in must follow the field's own context.
Field augmented_field(const Field& field, const Layout& layout) {
  const auto evaluate = [f = field.evaluate, layout](const Tensor& t, const Tensor& z,
                                                     const Tensors& context) {
    const Tensors parts = layout.split(z);
    const size_t own = layout.wanted().size();
    const Tensor y =
        layout.interpolated() ? interpolated(std::span(context).subspan(own), t) : parts[0];
    const Tensor& a = parts[layout.interpolated() ? 0 : 1];
    Tensors named(context.begin(), context.begin() + static_cast<std::ptrdiff_t>(own)), xs = {y};
    for (size_t i = 0; i < own; ++i) {
      if (!layout.wanted()[i]) continue;
      // A name of its own, as a tensor may stand in the context twice; by an op, so that an outer
      // tape, for gradients of gradients, knows what it is.
      named[i] = expand(context[i], context[i].shape());
      xs.push_back(named[i]);
    }
    Tape tape(xs);
    const Tensor slope = Field{.context = named, .evaluate = f}(t, y);
    const Deafen deaf(tape);
    Tensors rates;
    if (!layout.interpolated()) rates.push_back(slope);
    for (const Tensor& d : tape.gradient(slope, xs, a)) rates.push_back(neg(d));
    return layout.join(rates);
  };
  return {.context = field.context, .evaluate = evaluate, .jumps = field.jumps};
}

// What the gradient of a solve needs to know of it. Inputs of the solve as one list: y0, the times
// if they are a tensor, then the context. Outputs: the states at times[1], times[2], ..
struct Forward {
  Field field;  // without context
  std::vector<double> times;
  std::vector<double> grid;
  std::vector<int> orders;   // Solution::orders
  bool times_given = false;  // as a tensor
  Method method;             // of the way forward
  Solver backward;
  bool own_solver = false;  // not the forward one
  bool seminorm = false;
  bool interpolate = false;
  std::vector<Tensors> states;  // at each time of the grid, to interpolate
  StepPlans* plans = nullptr;
  std::shared_ptr<Statistics> statistics;

  size_t first_context() const { return times_given ? 2 : 1; }

  // The solver from one output time back to the one before it, or from the end of a step of the way
  // forward to its beginning. Fixed steps are those of the way forward, or the backward solver's
  // own over the whole time.
  Solver between(double from, double to) const {
    if (std::holds_alternative<Adaptive>(backward.stepping)) return backward;
    std::vector<double> all = grid;
    if (own_solver) {
      const std::vector<double>& ends = interpolate ? grid : times;
      all = step_grid(backward.stepping, std::vector<double>(ends.rbegin(), ends.rend()),
                      field.jumps);
    } else {
      std::reverse(all.begin(), all.end());
    }
    const auto begin = std::find(all.begin(), all.end(), from);
    const auto end = std::find(begin, all.end(), to);
    return {.method = backward.method, .stepping = StepGrid{{begin, end + 1}}};
  }
};

// The augmented system of one gradient, solved from time to time.
class WayBack {
 public:
  WayBack(const Forward& c, const CustomVjp& v, const Field& field)
      : c_(c),
        field_(field),
        layout_(v.inputs[0], field.context, wanted_context(c, v), c.interpolate),
        augmented_(augmented_field(field, layout_)),
        error_parts_(layout_.error_parts(c.seminorm)),
        plans_(c.plans ? &c.plans->of(layout_.key()) : nullptr) {
    if (!c.interpolate) return;
    states_ = c.states;
    if (v.differentiable) {  // as functions of y0 and the context, for gradients of gradients
      const Solver again{.method = c.method, .stepping = StepGrid{c.grid, c.orders}};
      states_ = solve(field, v.inputs[0], c.times, again, {.keep_states = true}).states;
    }
  }
  static std::vector<bool> wanted_context(const Forward& c, const CustomVjp& v) {
    return {v.wanted.begin() + static_cast<std::ptrdiff_t>(c.first_context()), v.wanted.end()};
  }

  // state: a, g.., from times[j] to times[j - 1]. y: at times[j]
  Tensors interval(size_t j, const Tensor& y, const Tensors& state) {
    if (c_.interpolate) return over_pieces(j, state);
    Tensors all = {y};
    all.insert(all.end(), state.begin(), state.end());
    const Solution s = solved(augmented_, layout_.join(all), c_.times[j], c_.times[j - 1]);
    all = layout_.split(s.y);
    return Tensors(all.begin() + 1, all.end());
  }

 private:
  // before: the piece that this one goes on from.
  Solution solved(const Field& f, const Tensor& z, double from, double to,
                  const Solution* before = nullptr) {
    Solver solver = c_.between(from, to);
    auto* how = std::get_if<Adaptive>(&solver.stepping);
    if (how) how->max_steps -= attempts_;  // it is the budget of the whole way
    // Behind a jump the slope is another one, and a method of several steps must start afresh.
    const bool resume = how && !c_.backward.method.facts().multistep && field_.jumps.empty();
    if (before && how && !resume) how->first_step = std::abs(before->next_step);
    Solution s = solve(f, z, {from, to}, solver,
                       {.plans = plans_,
                        .resume = before && resume ? before : nullptr,
                        .error_parts = error_parts_});
    if (s.status != Status::success) {
      const std::string earlier =
          attempts_ == 0 ? "" : concat("After ", attempts_, " steps on the way back to there: ");
      throw SolveError("gradient: the adjoint has no solution. " + earlier + s.message);
    }
    attempts_ += s.statistics->accepted + s.statistics->rejected;
    c_.statistics->evaluations_backward += s.statistics->evaluations;
    return s;
  }

  // Step by step of the way forward. The step sizes of the way back go on from one to the next.
  Tensors over_pieces(size_t j, const Tensors& state) {
    const auto place = [&](double t) {
      return static_cast<size_t>(std::find(c_.grid.begin(), c_.grid.end(), t) - c_.grid.begin());
    };
    std::optional<Solution> s;
    Tensor z = layout_.join(state);
    for (size_t n = place(c_.times[j]); n > place(c_.times[j - 1]); --n) {
      const double t = c_.grid[n - 1], t1 = c_.grid[n];
      const Tensor& y = states_[n - 1][0];
      const Interpolant inside(c_.method, field_, t, t1, y, states_[n][0]);
      c_.statistics->evaluations_backward += inside.evaluations();
      const Field f = with_context(augmented_, joined(field_.context, piece_of(inside, t, t1, y)));
      s = solved(f, z, t1, t, s ? &*s : nullptr);
      z = s->y;
    }
    return layout_.split(z);
  }

  const Forward& c_;
  const Field& field_;
  Layout layout_;
  Field augmented_;
  std::vector<int64_t> error_parts_;
  StepPlans* plans_;
  std::vector<Tensors> states_;
  int64_t attempts_ = 0;  // steps so far
};

// The gradients of all inputs, by solving the augmented system from the last output that a gradient
// arrives at back to the start.
Tensors solve_backward(const Forward& c, const CustomVjp& v) {
  const Tensor& y0 = v.inputs[0];
  Field field = c.field;
  field.context.assign(v.inputs.begin() + static_cast<std::ptrdiff_t>(c.first_context()),
                       v.inputs.end());
  WayBack way(c, v, field);
  const std::vector<bool> wanted = WayBack::wanted_context(c, v);

  Tensors state = {{}};  // a, g..
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) state.push_back(zeros_like(field.context[i]));
  }
  Tensors dtimes(c.times.size());
  // Where the field jumps at an output time, the slope is that of the steps that lead there; at the
  // start, of those that lead away. Of equal times the last gets the gradient of all.
  const double direction = c.times.back() < c.times.front() ? -1 : 1;
  const auto along_slope = [&](size_t j, const Tensor& y, const Tensor& g) {
    ++c.statistics->evaluations_backward;
    const double side = c.times[j] == c.times[0] ? direction : -direction;
    const double t = start_time(field.jumps, c.times[j], side, y.dtype());
    const Tensor d = sum(g * field(scalar(t, y.dtype(), y.device()), y));
    while (j + 1 < c.times.size() && c.times[j + 1] == c.times[j]) ++j;
    dtimes[j] = dtimes[j].defined() ? dtimes[j] + d : d;
  };
  const bool times_wanted = c.times_given && v.wanted[1];

  for (size_t j = v.outputs.size(); j > 0; --j) {
    const Tensor& arriving = v.cotangents[j - 1];
    if (arriving.defined()) {
      state[0] = state[0].defined() ? state[0] + arriving : arriving;
      if (times_wanted) along_slope(j, v.outputs[j - 1], arriving);
    }
    if (state[0].defined()) state = way.interval(j, v.outputs[j - 1], state);
  }

  const Tensor& a = state[0];
  if (times_wanted && a.defined()) along_slope(0, y0, neg(a));
  Tensors d = {a};
  if (c.times_given) {
    for (Tensor& x : dtimes) {
      if (!x.defined()) x = zeros({}, y0.dtype(), y0.device());
    }
    d.push_back(times_wanted ? cast(stack(dtimes), v.inputs[1].dtype()) : Tensor());
  }
  size_t next = 1;
  for (bool w : wanted) d.push_back(w && a.defined() ? state[next++] : Tensor());
  return d;
}

}  // namespace

Solution solve_adjoint(const Field& field, const Tensor& y0, const std::vector<double>& times,
                       const Tensor& watched_times, const Solver& solver,
                       const GradientOptions& options, bool seminorm, StepPlans* plans) {
  if (!tape_listens()) return solve(field, y0, times, solver, {.plans = plans});
  const Method& back = options.backward ? options.backward->method : solver.method;
  if (back.facts().separable) {
    throw ValueError(concat("solve: the adjoint cannot go back by ", back.name(),
                            ": its system has no halves that are separate. Take the checkpointed "
                            "gradient, or another method for the way back."));
  }
  auto c = std::make_shared<Forward>();
  c->field = without_side_effects(field);
  c->field.context.clear();
  c->times_given = watched_times.defined();
  c->method = solver.method;
  c->backward = options.backward.value_or(solver);
  c->own_solver = options.backward.has_value();
  c->interpolate = options.interpolate;
  c->seminorm = seminorm;
  if (!field.evaluate_again) c->plans = plans;

  Tensors inputs = {y0};
  if (c->times_given) inputs.push_back(watched_times);
  inputs.insert(inputs.end(), field.context.begin(), field.context.end());

  Solution solution;
  const auto forward = [&](const Tensors&) {
    show_field(field, times[0], y0, plans);
    solution =
        solve(field, y0, times, solver, {.plans = plans, .keep_states = options.interpolate});
    c->times = solution.times;
    c->grid = solution.grid;
    c->orders = solution.orders;
    // A solve that failed has gone on behind its last output.
    const auto last = std::find(c->grid.begin(), c->grid.end(), c->times.back());
    c->grid.erase(last + 1, c->grid.end());
    if (c->orders.size() >= c->grid.size()) c->orders.resize(c->grid.size() - 1);
    c->statistics = solution.statistics;
    c->states = std::exchange(solution.states, {});
    c->statistics->states_kept = static_cast<int64_t>(c->states.size());
    return Tensors(solution.ys.begin() + 1, solution.ys.end());
  };
  try {
    const Tensors ys =
        custom("solve", inputs, forward, [c](const CustomVjp& v) { return solve_backward(*c, v); });
    std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
    if (solution.status == Status::success) solution.y = solution.ys.back();
  } catch (const LeakError& leak) {
    if (solver.method->parameters(y0.dtype(), y0.device()).empty()) throw missing_in_context(leak);
    throw ValueError(concat(missing_in_context(leak).what(), " If it is a parameter of ",
                            solver.method.name(),
                            ": the adjoint has no gradient of that. Take the checkpointed one."));
  }
  return solution;
}

}  // namespace slope::ode
