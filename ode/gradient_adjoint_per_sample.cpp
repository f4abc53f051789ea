#include "ode/gradient_adjoint_per_sample.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/solver.h"
#include "ode/gradient_step.h"
#include "ode/per_sample_rows.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

// What the gradient needs to know of the solve. Inputs as one list: y0, then the context. Outputs:
// the states at the output times after t0.
struct Forward {
  Field field;                             // without context
  std::vector<std::vector<double>> times;  // of each sample
  Solver backward;
  StepPlans* plans = nullptr;
  std::vector<bool> failed = {};
  std::shared_ptr<Statistics> statistics = {};

  bool has_failures() const {
    return std::find(failed.begin(), failed.end(), true) != failed.end();
  }
  bool has_successes() const {
    return std::find(failed.begin(), failed.end(), false) != failed.end();
  }
};

// y and a of each sample, side by side: (n, 2 m).
Tensor join(const Tensor& y, const Tensor& a) {
  const Shape rows{y.dim(0), y.size() / y.dim(0)};
  return concatenate({contiguous(y).reshape(rows), contiguous(a).reshape(rows)}, 1);
}
// One half of z: (n, 2 m), in the shape of the states: like (N, ..).
Tensor half(const Tensor& z, int64_t which, Shape shape) {
  const int64_t m = z.dim(1) / 2;
  shape[0] = z.dim(0);
  return slice(z, 1, which * m, (which + 1) * m).reshape(shape);
}
// t: (n, 1) -> (n, 1, .., 1) for states of this rank
Tensor row_times(const Tensor& t, int rank) {
  Shape shape = Shape::filled(rank, 1);
  shape[0] = t.dim(0);
  return t.reshape(shape);
}

// y' = f(t, y), a' = -a df/dy. shape: of the states
Field augmented_field(const Field& field, const Shape& shape) {
  Field augmented = field;
  augmented.evaluate = [f = field.evaluate, shape](const Tensor& t, const Tensor& z,
                                                   const Tensors& context) {
    const Tensor y = half(z, 0, shape), a = half(z, 1, shape);
    Tape tape({y});
    const Tensor slope = Field{.context = context, .evaluate = f}(row_times(t, shape.rank()), y);
    const Deafen deaf(tape);
    return join(slope, neg(tape.gradient(slope, {y}, a)[0]));
  };
  return augmented;
}

// The share of one attempt in the gradients of the context, undefined where none is wanted.
// context: of all samples
Tensors quadrature(const Field& augmented, const Field& field, const Tableau& m,
                   const PerSampleAttempt& attempt, const Tensors& context,
                   const std::vector<bool>& wanted, const Shape& shape) {
  const Tensor& z = attempt.y;
  const Tensor who = row_indices(attempt.samples, z.device());
  Tensors own = gathered_context(field, context, who);
  const StepTimes at = read_clock(row_clock(m, field.jumps, attempt.from, attempt.to, z));
  const Tensors slopes =
      rk_step(m, with_context(augmented, own), at, z, {}, LastSlope::leave_out).slopes;

  Tensors xs;
  for (size_t i = 0; i < own.size(); ++i) {
    if (!wanted[i]) continue;
    own[i] = own[i].alias();  // a tensor may stand in the context twice
    xs.push_back(own[i]);
  }
  Tensors cotangents, states;
  std::vector<size_t> stages;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (m.b[i] == 0) continue;
    const Tensors before(slopes.begin(), slopes.begin() + static_cast<std::ptrdiff_t>(i));
    const std::vector<double> row(m.a[i].begin(), m.a[i].begin() + static_cast<std::ptrdiff_t>(i));
    const Tensor stage = i == 0 ? z : rk_combine(z, at.h, before, row);
    stages.push_back(i);
    states.push_back(half(stage, 0, shape));
    cotangents.push_back(half(stage, 1, shape) * row_times(at.h * -m.b[i], shape.rank()));
  }
  Tape tape(xs);
  Tensors values;
  for (size_t k = 0; k < states.size(); ++k) {
    const Tensor t = row_times(at.t[stages[k]], shape.rank());
    values.push_back(Field{.context = own, .evaluate = field.evaluate}(t, states[k]));
  }
  const Deafen deaf(tape);
  const Tensors found = tape.gradient(values, xs, cotangents);
  Tensors d(context.size());
  for (size_t i = 0, next = 0; i < d.size(); ++i) {
    if (wanted[i]) d[i] = found[next++];
  }
  for (size_t place : field.per_sample_context) {
    if (d[place].defined()) d[place] = scatter_add_rows(d[place], who, context[place].dim(0));
  }
  return d;
}

Tensors solve_backward(const Forward& c, const CustomVjp& v) {
  if (v.differentiable) {
    throw ValueError(
        "gradient: the adjoint with steps per sample has no gradient of its own. Take the "
        "checkpointed gradient, or shared steps.");
  }
  Tensors d(v.inputs.size());
  if (!c.has_successes()) return d;
  const auto n = static_cast<size_t>(v.inputs[0].dim(0));
  const Shape& shape = v.inputs[0].shape();
  const std::vector<bool> wanted(v.wanted.begin() + 1, v.wanted.end());
  const bool any_wanted = std::find(wanted.begin(), wanted.end(), true) != wanted.end();
  Shape one = shape;
  one[0] = 1;
  StepPlans* plans = c.plans ? &c.plans->of(concat("adjoint of rows ", one)) : nullptr;

  // A sample that has failed stands still where one is that has not, with its time, state and
  // context, and with no gradient: what is NaN of its own must not reach sums over the samples.
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<double> counts(n, 1);
  const auto good = std::find(c.failed.begin(), c.failed.end(), false) - c.failed.begin();
  for (size_t i = 0; i < n; ++i) {
    if (!c.failed[i]) continue;
    rows[i] = good;
    counts[i] = 0;
  }
  const auto stand_ins = [&](const Tensor& y) {
    return c.has_failures() ? gather_rows(y, row_indices(rows, y.device())) : y;
  };
  Tensors context(v.inputs.begin() + 1, v.inputs.end());
  if (c.has_failures()) {
    context = gathered_context(c.field, context, row_indices(rows, v.inputs[0].device()));
  }
  const Field field = with_context(c.field, context);
  const Field augmented = augmented_field(field, shape);
  const auto without_failed = [&](const Tensor& g) {
    return c.has_failures() ? select(row_values(counts, g), g, 0) : g;
  };

  Tensor a;
  for (size_t j = v.outputs.size(); j > 0; --j) {
    if (const Tensor& g = v.cotangents[j - 1]; g.defined()) {
      a = a.defined() ? a + without_failed(g) : without_failed(g);
    }
    if (!a.defined()) continue;  // nothing flows into later states
    std::vector<std::vector<double>> spans;
    for (size_t i = 0; i < n; ++i) {
      const std::vector<double>& own =
          c.times[c.times.size() == 1 ? 0 : static_cast<size_t>(rows[i])];
      spans.push_back({own[j], c.failed[i] ? own[j] : own[j - 1]});
    }
    std::vector<PerSampleAttempt> attempts;
    const PerSampleSolution s =
        solve_per_sample(augmented, join(stand_ins(v.outputs[j - 1]), a), spans, c.backward,
                         {.plans = plans, .record = &attempts});
    for (size_t i = 0; i < n; ++i) {
      if (s.statuses[i] == Status::success) continue;
      throw SolveError("gradient: the adjoint has no solution. " + s.messages[i]);
    }
    c.statistics->evaluations_backward += s.total->evaluations;
    a = half(s.y, 1, shape);
    for (const PerSampleAttempt& attempt : attempts) {
      if (!any_wanted || attempt.from == attempt.to) continue;
      const Tableau& m = *c.backward.method->tableau();
      const Tensors share = quadrature(augmented, field, m, attempt, context, wanted, shape);
      for (size_t i = 0; i < context.size(); ++i) {
        Tensor& sum = d[i + 1];
        if (share[i].defined()) sum = sum.defined() ? sum + share[i] : share[i];
      }
      for (size_t row = 0; row < attempt.from.size(); ++row) {
        if (attempt.from[row] != attempt.to[row]) c.statistics->evaluations_backward += m.stages();
      }
    }
  }
  d[0] = a;
  return d;
}

}  // namespace

PerSampleSolution solve_adjoint_per_sample(const Field& field, const Tensor& y0,
                                           const std::vector<std::vector<double>>& times,
                                           const Solver& solver, const GradientOptions& options,
                                           StepPlans* plans) {
  if (options.interpolate) {
    throw ValueError(
        "solve: the adjoint on the states of the way forward needs shared steps. Take these, or "
        "leave out interpolate.");
  }
  auto c = std::make_shared<Forward>(Forward{.field = without_side_effects(field),
                                             .times = times,
                                             .backward = options.backward.value_or(solver),
                                             .plans = plans});
  c->field.context.clear();
  Tensors inputs = {y0};
  inputs.insert(inputs.end(), field.context.begin(), field.context.end());
  PerSampleSolution solution;
  const auto forward = [&](const Tensors&) {
    show_field_of_rows(field, times.front().front(), y0, plans);
    solution = solve_per_sample(field, y0, times, solver, {.plans = plans});
    for (Status status : solution.statuses) c->failed.push_back(status != Status::success);
    c->statistics = solution.total;
    return Tensors(solution.ys.begin() + 1, solution.ys.end());
  };
  try {
    const Tensors ys =
        custom("solve", inputs, forward, [c](const CustomVjp& v) { return solve_backward(*c, v); });
    std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
    if (solution.failures() == 0 && !ys.empty()) solution.y = ys.back();
  } catch (const LeakError& leak) {
    throw missing_in_context(leak);
  }
  return solution;
}

}  // namespace slope::ode
