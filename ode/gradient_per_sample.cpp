#include "ode/gradient_per_sample.h"

#include <algorithm>
#include <numeric>

#include "autograd/functions.h"
#include "core/exact.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "ode/gradient_adjoint_per_sample.h"
#include "ode/gradient_step.h"
#include "ode/per_sample_rows.h"
#include "ode/tolerance.h"

namespace slope::ode {
namespace {

// Everything that repeats a solve: the attempts in which some sample moved, after a first entry
// for the start.
struct Record {
  Method method;
  Field field;  // without context
  StepPlans* plans = nullptr;
  size_t outputs = 0;  // output times after t0
  int64_t samples = 0;
  std::vector<PerSampleAttempt> attempts = {};
  std::vector<bool> failed = {};
  Tensors reached = {};  // (N, ..): the states at the output times after t0
  std::shared_ptr<Statistics> statistics = {};

  int64_t rows(size_t i) const { return static_cast<int64_t>(attempts[i].samples.size()); }
  // For each row of an attempt itself, or, where its sample has failed, a row whose sample has not
  // and that takes its place: what is NaN there must not reach sums over the rows. Empty: no row
  // has failed, or all have.
  std::vector<int64_t> stand_ins(size_t i) const;
  // The same of the context: what is NaN there too. context: for the rows of the attempt
  Tensors with_stand_ins(size_t i, const Tensors& context) const;
  void leave_out_what_failed();
  void drop_attempts_without_movement();
  void release_inputs() {
    for (Tensor& x : field.context) x = {};  // only their number counts
  }
};

std::vector<int64_t> Record::stand_ins(size_t i) const {
  const std::vector<int64_t>& who = attempts[i].samples;
  const auto bad = [&](int64_t sample) { return failed[static_cast<size_t>(sample)]; };
  const auto good = std::find_if_not(who.begin(), who.end(), bad);
  if (good == who.end() || std::none_of(who.begin(), who.end(), bad)) return {};
  std::vector<int64_t> rows(who.size());
  std::iota(rows.begin(), rows.end(), 0);
  for (size_t row = 0; row < who.size(); ++row) {
    if (bad(who[row])) rows[row] = good - who.begin();
  }
  return rows;
}

Tensors Record::with_stand_ins(size_t i, const Tensors& context) const {
  const std::vector<int64_t> rows = stand_ins(i);
  if (rows.empty() || field.per_sample_context.empty()) return context;
  const Tensor& first = context.at(field.per_sample_context.front());
  return gathered_context(field, context, row_indices(rows, first.device()));
}

void Record::leave_out_what_failed() {
  for (size_t i = 0; i < attempts.size(); ++i) {
    PerSampleAttempt& a = attempts[i];
    const std::vector<int64_t> rows = stand_ins(i);
    if (!rows.empty() && a.from != a.to) a.y = gather_rows(a.y, row_indices(rows, a.y.device()));
    const auto bad = [&](int64_t row) {
      return failed[static_cast<size_t>(a.samples[static_cast<size_t>(row)])];
    };
    for (size_t row = 0; row < a.samples.size(); ++row) {
      if (!bad(static_cast<int64_t>(row))) continue;
      if (!rows.empty()) a.from[row] = a.from[static_cast<size_t>(rows[row])];
      a.to[row] = a.from[row];
    }
    for (std::vector<int64_t>& there : a.reached) std::erase_if(there, bad);
  }
}

void Record::drop_attempts_without_movement() {
  std::vector<PerSampleAttempt> kept;
  std::vector<int64_t> cut;  // of attempts that were dropped
  for (PerSampleAttempt& a : attempts) {
    if (!cut.empty() && !a.cut.empty()) {
      for (int64_t& row : a.cut) row = cut[static_cast<size_t>(row)];
    } else if (!cut.empty()) {
      a.cut = cut;
    }
    cut.clear();
    if (kept.empty() || a.from != a.to) {
      kept.push_back(std::move(a));
    } else {
      cut = std::move(a.cut);
    }
  }
  attempts = std::move(kept);
}

// The same states by ops that a tape can record. context: as FieldCode wants it
Tensors replay(const Record& r, const Tensor& y0, Tensors context) {
  const FieldCode code(r.field);
  Tensors states = {y0};
  Tensor y = y0;
  for (size_t i = 1; i < r.attempts.size(); ++i) {
    const PerSampleAttempt& a = r.attempts[i];
    if (!a.cut.empty()) {
      const Tensor rows = row_indices(a.cut, y.device());
      y = gather_rows(y, rows);
      context = gathered_context(r.field, context, rows);
    }
    if (const std::vector<int64_t> rows = r.stand_ins(i); !rows.empty()) {
      y = gather_rows(y, row_indices(rows, y.device()));
    }
    const Tensors own = r.with_stand_ins(i, context);
    const Field f = code.field(own);
    y = r.method
            ->step({.field = f,
                    .clock = row_clock(*r.method->tableau(), f.jumps, a.from, a.to, y),
                    .state = {y},
                    .parameters = code.parameters(own)})
            .fresh[0];
    states.push_back(y);
  }
  Tensors ys;
  for (size_t j = 1; j <= r.outputs; ++j) {
    RowPieces pieces;
    for (size_t i = 0; i < states.size(); ++i) {
      pieces.add(states[i], r.attempts[i].reached[j], r.attempts[i].samples);
    }
    ys.push_back(pieces.assembled(r.samples, r.reached[j - 1]));
  }
  return ys;
}

// The gradient of the states after attempt i from the outputs that were reached with it.
Tensor arriving(const Record& r, const Tensors& cotangents, size_t i) {
  const PerSampleAttempt& a = r.attempts[i];
  Tensor sum;
  for (size_t j = 1; j <= r.outputs; ++j) {
    const Tensor& g = cotangents[j - 1];
    if (!g.defined() || a.reached[j].empty()) continue;
    std::vector<int64_t> samples;
    for (int64_t row : a.reached[j]) samples.push_back(a.samples[static_cast<size_t>(row)]);
    const Tensor rows = gather_rows(g, row_indices(samples, g.device()));
    const Tensor placed = scatter_add_rows(rows, row_indices(a.reached[j], g.device()), r.rows(i));
    sum = sum.defined() ? sum + placed : placed;
  }
  return sum;
}

// How many samples move in an attempt.
int64_t movers(const PerSampleAttempt& a) {
  int64_t count = 0;
  for (size_t row = 0; row < a.from.size(); ++row) count += a.from[row] != a.to[row] ? 1 : 0;
  return count;
}

// From the last attempt to the first, each step computed once more. v.inputs: y0, context..
Tensors walk_back(const Record& r, const CustomVjp& v) {
  std::vector<Tensors> contexts = {Tensors(v.inputs.begin() + 1, v.inputs.end())};
  for (const PerSampleAttempt& a : r.attempts) {
    if (a.cut.empty() || r.field.per_sample_context.empty()) continue;
    contexts.push_back(
        gathered_context(r.field, contexts.back(), row_indices(a.cut, v.inputs[0].device())));
  }
  Wanted wanted{.state = true,
                .clock = false,
                .context = std::vector<bool>(v.wanted.begin() + 1, v.wanted.end())};
  Statistics counted_below;
  const auto gradients_of = [&](size_t i) {
    return std::make_unique<StepGradients>(r.method, r.field, r.with_stand_ins(i, contexts.back()),
                                           std::nullopt, r.plans, counted_below);
  };
  const size_t last = r.attempts.size() - 1;
  auto gradients = gradients_of(last);

  Flow flow{.state = {arriving(r, v.cotangents, last)},
            .context = Tensors(v.inputs.size() - 1),
            .clock = {}};
  for (size_t i = last; i > 0; --i) {
    const PerSampleAttempt& a = r.attempts[i];
    const Tensor before = arriving(r, v.cotangents, i - 1);
    if (flow.state[0].defined()) {
      wanted.state = i > 1 || v.wanted[0];
      if (!wanted.state && !wanted.any_context()) return Tensors(v.inputs.size());
      const Tensor clock = row_clock(*r.method->tableau(), r.field.jumps, a.from, a.to, a.y);
      const Tensor start = wanted.state && a.cut.empty() ? before : Tensor();
      flow = gradients->step(clock, {a.y}, wanted, flow, start);
      r.statistics->evaluations_backward += movers(a) * r.method->step_evaluations(1, false, false);
    } else if (a.cut.empty()) {
      flow.state[0] = before;
    }
    if (a.cut.empty()) continue;
    const Tensor rows = row_indices(a.cut, v.inputs[0].device());
    if (wanted.state) {
      Tensor& dy = flow.state[0];
      if (dy.defined()) dy = scatter_add_rows(dy, rows, r.rows(i - 1));
      if (before.defined()) dy = dy.defined() ? before + dy : before;
    }
    if (r.field.per_sample_context.empty()) continue;
    for (size_t place : r.field.per_sample_context) {
      Tensor& d = flow.context[place];
      if (d.defined()) d = scatter_add_rows(d, rows, r.rows(i - 1));
    }
    contexts.pop_back();
    gradients = gradients_of(i - 1);
  }
  Tensors d = {wanted.state ? gradients->kept(flow.state[0]) : Tensor()};
  for (const Tensor& x : flow.context) d.push_back(gradients->kept(x));
  return d;
}

// For gradients of gradients.
Tensors record_again(const Record& r, const CustomVjp& v) {
  const auto again = [&] {
    return replay(r, v.inputs[0], Tensors(v.inputs.begin() + 1, v.inputs.end()));
  };
  return recorded_gradients(v, again);
}

}  // namespace

PerSampleSolution solve_per_sample_differentiable(const Field& field, const Tensor& y0,
                                                  const std::vector<std::vector<double>>& times,
                                                  const Solver& solver, Gradient gradient,
                                                  StepPlans* plans,
                                                  const GradientOptions& options) {
  check_options(gradient, options);
  const ExactScope exact(needs_exact_kernels(solver));  // the way back too
  if (options.most_states > 0) {
    throw ValueError(
        "solve: with steps per sample one state is kept for each attempt, and no limit on the "
        "number of states holds. Take shared steps, or the checkpointed gradient without states=.");
  }
  if (!tape_listens() || y0.size() == 0)
    return solve_per_sample(field, y0, times, solver, {.plans = plans});
  if (gradient == Gradient::adjoint || gradient == Gradient::adjoint_seminorm) {
    return solve_adjoint_per_sample(field, y0, times, solver, options, plans);
  }
  if (gradient != Gradient::checkpointed && gradient != Gradient::through) {
    throw ValueError(concat("solve: the gradient ", name(gradient),
                            " needs shared steps. With steps per sample take checkpointed, through "
                            "or adjoint."));
  }
  auto r = std::make_shared<Record>(
      Record{.method = solver.method, .field = without_side_effects(field), .plans = plans});
  r->release_inputs();
  PerSampleSolution solution;
  const auto solve_and_record = [&] {
    solution = solve_per_sample(field, y0, times, solver, {.plans = plans, .record = &r->attempts});
    r->outputs = solution.ys.size() - 1;
    r->samples = y0.dim(0);
    r->reached.assign(solution.ys.begin() + 1, solution.ys.end());
    r->statistics = solution.total;
    for (Status status : solution.statuses) r->failed.push_back(status != Status::success);
    if (solution.failures() > 0) r->leave_out_what_failed();
    r->drop_attempts_without_movement();
  };
  const Tensors context = joined(field.context, solver.method->parameters(y0.dtype(), y0.device()));
  Tensors ys;
  if (gradient == Gradient::through) {
    {
      const MuteTapes quiet;
      solve_and_record();
    }
    ys = replay(*r, y0, context);
  } else {
    Tensors inputs = {y0};
    inputs.insert(inputs.end(), context.begin(), context.end());
    const auto forward = [&](const Tensors&) {
      show_field_of_rows(field, times.front().front(), y0, plans);
      solve_and_record();
      return r->reached;
    };
    const auto rule = [r](const CustomVjp& v) {
      return v.differentiable ? record_again(*r, v) : walk_back(*r, v);
    };
    try {
      ys = custom("solve", inputs, forward, rule);
    } catch (const LeakError& leak) {
      throw missing_in_context(leak);
    }
  }
  std::copy(ys.begin(), ys.end(), solution.ys.begin() + 1);
  if (solution.failures() == 0 && !ys.empty()) solution.y = ys.back();
  return solution;
}

}  // namespace slope::ode
