#include "ode/per_sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/dispatch.h"
#include "core/exact.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/solver.h"
#include "core/plan.h"
#include "ode/finite.h"
#include "ode/initial_step.h"
#include "ode/jumps.h"
#include "ode/number_text.h"
#include "ode/per_sample_rows.h"
#include "ode/step_control.h"
#include "ode/stiffness.h"
#include "ode/tolerance.h"

namespace slope::ode {
namespace {

// A sample on the host: where it is and what it tries next.
struct Sample {
  StepControl control;
  const std::vector<double>& times;
  size_t outputs = 1;  // output times reached, t0 included
  int64_t evaluations = 0;
  bool moving = true;
};

// The solve in progress: the samples, and the rows of the batch as it is now.
class Batch {
 public:
  Batch(const Field& field, const Tensor& y0, const std::vector<std::vector<double>>& times,
        const Solver& solver, const PerSampleOptions& options, PerSampleSolution& result);
  void run();

 private:
  Sample& at(size_t row) { return samples_[static_cast<size_t>(who_[row])]; }
  size_t rows() const { return who_.size(); }
  std::vector<double> now();
  bool replaying() const { return options_.plans && !tape_listens(); }
  Tensor kept(const Tensor& x) const { return replaying() ? x.clone() : x; }
  Tensors compute(const std::string& key, const StepFunction& f, const Tensors& inputs,
                  int64_t cost);
  Tensor slope(const std::vector<double>& ts, const Tensor& y);

  void choose_first_steps();
  void attempt();
  void take(const Tensors& stepped, const std::vector<double>& accepted);
  void reach_outputs(size_t row, PerSampleAttempt& made);
  void stop_where_stuck();
  Field field_of(int64_t row) const;
  void stop(const std::vector<int64_t>& rows);
  void halve();
  Tensor assembled(const RowPieces& pieces) const;

  Field field_;
  const Solver& solver_;
  const Tableau& tableau_;
  const Adaptive& how_;
  const ErrorNormOptions norm_;
  const PerSampleOptions& options_;
  PerSampleSolution& result_;
  std::vector<Sample> samples_;

  std::vector<int64_t> who_;        // the sample in each row
  Tensor y_, k_;                    // (n, ..): states and their slopes
  std::vector<RowPieces> reached_;  // the states at each output time
  RowPieces stopped_;               // the last states of those that move no more
  std::vector<int64_t> cut_;        // rows kept by the last halving, until an attempt records it
  StepFunction slope_, attempt_;
  std::string attempt_key_;
};

Batch::Batch(const Field& field, const Tensor& y0, const std::vector<std::vector<double>>& times,
             const Solver& solver, const PerSampleOptions& options, PerSampleSolution& result)
    : field_(field),
      solver_(solver),
      tableau_(*solver.method->tableau()),
      how_(std::get<Adaptive>(solver.stepping)),
      norm_{.atol = how_.atol, .rtol = how_.rtol, .per_sample = true},
      options_(options),
      result_(result),
      y_(y0),
      reached_(times.front().size()) {
  const auto n = static_cast<size_t>(y0.dim(0));
  samples_.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    const std::vector<double>& own = times.size() == 1 ? times.front() : times[i];
    samples_.push_back(
        {StepControl(how_, solver.method.facts().error_order(), own, field.jumps), own});
    who_.push_back(static_cast<int64_t>(i));
    result_.grids.push_back({own.front()});
  }
  // Plans outlive the solve, so the functions own the method and the field's code.
  const FieldCode code(field);
  slope_ = [code](const Tensors& in, const Tensors& context) {
    return Tensors{code.field(context)(in[0], in[1])};
  };
  attempt_ = [code, m = solver.method, norm = norm_](const Tensors& in, const Tensors& context) {
    const Field f = code.field(context);
    const Stepped s =
        m->step({.field = f, .clock = in[0], .state = {in[1]}, .slope = in[2], .with_error = true});
    const MuteTapes quiet;  // the choice of step sizes is never differentiated
    Tensors out = {s.fresh[0], error_norm(s.error, in[1], s.fresh[0], norm)};
    if (s.slope.defined()) out.push_back(s.slope);
    return out;
  };
  attempt_key_ = concat("attempt of rows ", solver.method->key(), number_text(norm_.rtol), " ",
                        number_text(norm_.atol));
}

std::vector<double> Batch::now() {
  std::vector<double> ts;
  ts.reserve(rows());
  for (size_t row = 0; row < rows(); ++row) ts.push_back(at(row).control.t());
  return ts;
}

Tensors Batch::compute(const std::string& key, const StepFunction& f, const Tensors& inputs,
                       int64_t cost) {
  result_.rows_evaluated += cost * static_cast<int64_t>(rows());
  if (replaying()) return options_.plans->run(key, f, inputs, field_.context);
  return f(inputs, field_.context);
}

Tensor Batch::slope(const std::vector<double>& ts, const Tensor& y) {
  return compute("slope of rows", slope_, {row_values(ts, y), y}, 1)[0];
}

void Batch::choose_first_steps() {
  std::vector<double> ts = now();
  for (size_t row = 0; row < rows(); ++row) {
    if (at(row).control.done()) continue;
    ts[row] = start_time(field_.jumps, ts[row], at(row).control.direction(), y_.dtype());
    ++at(row).evaluations;
  }
  k_ = kept(slope(ts, y_));
  if (how_.first_step > 0) return;
  const MuteTapes quiet;
  const auto sizes = [&](const Tensor& x) { return error_norm(x, y_, y_, norm_).values(); };
  const std::vector<double> d0 = sizes(y_), d1 = sizes(k_);
  std::vector<double> h0(rows(), 0.0), trial(rows(), 0.0);
  for (size_t row = 0; row < rows(); ++row) {
    Sample& s = at(row);
    if (s.control.done()) continue;
    h0[row] = trial_step(d0[row], d1[row]);
    if (std::isnan(h0[row])) {
      s.control.set_step(NAN);
      h0[row] = 0;
      continue;
    }
    ++s.evaluations;
    trial[row] = s.control.direction() * h0[row];
    ts[row] = s.control.t() + trial[row];
  }
  const Tensor y1 = rk_combine(y_, row_values(trial, y_), Tensors{k_}, std::vector<double>{1});
  const std::vector<double> change = sizes(slope(ts, y1) - k_);
  for (size_t row = 0; row < rows(); ++row) {
    if (h0[row] == 0) continue;
    const double d2 = change[row] / h0[row];
    at(row).control.set_step(
        initial_step_size(h0[row], d1[row], d2, solver_.method.facts().error_order()));
  }
}

void Batch::attempt() {
  PerSampleAttempt made{
      .cut = std::exchange(cut_, {}), .samples = {}, .from = now(), .to = {}, .y = y_};
  if (options_.record) made.samples = who_;
  made.reached.resize(reached_.size());
  made.to.reserve(rows());
  for (size_t row = 0; row < rows(); ++row) {
    made.to.push_back(at(row).moving ? at(row).control.propose() : made.from[row]);
  }
  const int64_t cost = solver_.method->step_evaluations(1, true, true);
  const Tensor clock = row_clock(tableau_, field_.jumps, made.from, made.to, y_);
  const Tensors stepped = compute(attempt_key_, attempt_, {clock, y_, k_}, cost);
  const std::vector<double> errors = stepped[1].values();  // the one wait of an attempt
  ++result_.attempts;

  std::vector<double> accepted(rows(), 0.0);
  std::vector<int64_t> done;
  bool suspect = false;
  for (size_t row = 0; row < rows(); ++row) {
    Sample& s = at(row);
    if (!s.moving) continue;
    s.evaluations += cost;
    if (s.control.judge(errors[row])) {
      accepted[row] = 1;
      result_.grids[static_cast<size_t>(who_[row])].push_back(s.control.t());
      reach_outputs(row, made);
      if (s.control.done()) done.push_back(static_cast<int64_t>(row));
    } else {
      made.to[row] = made.from[row];
      suspect = suspect || !std::isfinite(errors[row]);
    }
  }
  take(stepped, accepted);
  for (size_t j = 0; j < reached_.size(); ++j) reached_[j].add(y_, made.reached[j], who_);
  stop(done);
  if (suspect) {  // from a bad slope no step succeeds
    const std::vector<double> good = finite_rows(k_);
    for (size_t row = 0; row < rows(); ++row) {
      if (at(row).moving && good[row] == 0) at(row).control.set_step(NAN);
    }
  }
  if (options_.record) options_.record->push_back(std::move(made));
}

// The field of one row, for those who give it one time: it gets it as it always does.
Field Batch::field_of(int64_t row) const {
  const Tensor index = row_indices({row}, y_.device());
  Field alone = with_context(field_, gathered_context(field_, field_.context, index));
  alone.evaluate = [inner = field_.evaluate](const Tensor& t, const Tensor& y, const Tensors& c) {
    return inner(t.reshape(Shape::filled(y.rank(), 1)), y, c);
  };
  return alone;
}

// Rows whose step was accepted move; the others keep their state and slope.
void Batch::take(const Tensors& stepped, const std::vector<double>& accepted) {
  const auto taken = std::count(accepted.begin(), accepted.end(), 1.0);
  if (taken == 0) return;
  const bool all = taken == static_cast<int64_t>(rows());
  const Tensor mask = all ? Tensor() : row_values(accepted, y_);
  const auto moved = [&](const Tensor& to, const Tensor& from) {
    return all ? kept(to) : select(mask, to, from);
  };
  y_ = moved(stepped[0], y_);
  const bool known = stepped.size() > 2;
  if (known) k_ = moved(stepped[2], k_);

  bool needed = false;
  std::vector<double> ts = now();
  for (size_t row = 0; row < rows(); ++row) {
    Sample& s = at(row);
    if (accepted[row] == 0 || s.control.done() || (known && !s.control.at_jump())) continue;
    needed = true;
    ++s.evaluations;
    ts[row] = start_time(field_.jumps, ts[row], s.control.direction(), y_.dtype());
  }
  if (needed) k_ = kept(slope(ts, y_));
}

void Batch::reach_outputs(size_t row, PerSampleAttempt& made) {
  Sample& s = at(row);
  while (s.outputs < s.times.size() && s.times[s.outputs] == s.control.t()) {
    made.reached[s.outputs++].push_back(static_cast<int64_t>(row));
  }
}

void Batch::stop(const std::vector<int64_t>& rows) {
  for (int64_t row : rows) at(static_cast<size_t>(row)).moving = false;
  stopped_.add(y_, rows, who_);
}

void Batch::stop_where_stuck() {
  std::vector<int64_t> stuck;
  for (size_t row = 0; row < rows(); ++row) {
    Sample& s = at(row);
    if (!s.moving) continue;
    const Status status = s.control.obstacle();
    if (status == Status::success) continue;
    const auto r = static_cast<int64_t>(row);
    const Tensor y = slice(y_, 0, r, r + 1);
    const Field alone = field_of(r);
    const double t = s.control.t();
    std::string blamed, advice;
    if (status == Status::step_limit) {
      const std::vector<double>& grid = result_.grids[static_cast<size_t>(who_[row])];
      advice = advice_when_out_of_steps(solver_.method, how_, alone, t, y, s.control.lately(grid));
    } else if (status == Status::not_finite) {
      const double tried = s.control.tried();
      const double size = tried > 0 ? tried : 1e-6 * std::abs(s.times.back() - t);
      blamed = blame(solver_.method, alone, {}, std::vector<double>{t},
                     t + s.control.direction() * size, {y});
    }
    const auto sample = static_cast<size_t>(who_[row]);
    result_.statuses[sample] = status;
    result_.messages[sample] =
        s.control.message(concat("solve: sample ", sample, ": "), blamed, advice);
    stuck.push_back(static_cast<int64_t>(row));
  }
  if (!stuck.empty()) stop(stuck);
}

// Leaves behind the rows that stand still once they are half of the batch.
void Batch::halve() {
  std::vector<int64_t> kept_rows, still;
  for (size_t row = 0; row < rows(); ++row) {
    (at(row).moving ? kept_rows : still).push_back(static_cast<int64_t>(row));
  }
  size_t size = rows();
  while (size > 1 && kept_rows.size() <= size / 2) size /= 2;
  if (size == rows() || kept_rows.empty()) return;
  kept_rows.insert(kept_rows.end(), still.begin(),
                   still.begin() + static_cast<int64_t>(size - kept_rows.size()));
  const Tensor indices = row_indices(kept_rows, y_.device());
  y_ = gather_rows(y_, indices);
  k_ = gather_rows(k_, indices);
  field_.context = gathered_context(field_, field_.context, indices);
  std::vector<int64_t> who;
  for (int64_t row : kept_rows) who.push_back(who_[static_cast<size_t>(row)]);
  who_ = who;
  cut_ = kept_rows;
}

void Batch::run() {
  PerSampleAttempt start{.cut = {}, .samples = who_, .from = now(), .to = now(), .y = y_};
  start.reached.resize(reached_.size());
  std::vector<int64_t> done;
  for (size_t row = 0; row < rows(); ++row) {
    start.reached[0].push_back(static_cast<int64_t>(row));
    reach_outputs(row, start);
    if (at(row).control.done()) done.push_back(static_cast<int64_t>(row));
  }
  for (size_t j = 0; j < reached_.size(); ++j) reached_[j].add(y_, start.reached[j], who_);
  stop(done);
  const auto moving = [&] {
    return std::any_of(samples_.begin(), samples_.end(), [](const Sample& s) { return s.moving; });
  };
  if (moving()) choose_first_steps();
  if (options_.record) options_.record->push_back(std::move(start));
  while (stop_where_stuck(), moving()) {
    halve();
    attempt();
  }

  const auto n = static_cast<int64_t>(samples_.size());
  for (const RowPieces& pieces : reached_) result_.ys.push_back(pieces.assembled(n));
  result_.y = stopped_.assembled(n);
  for (const Sample& s : samples_) {
    result_.ts.push_back(s.control.t());
    result_.statistics.push_back({.evaluations = s.evaluations,
                                  .evaluations_backward = 0,
                                  .accepted = s.control.accepted(),
                                  .rejected = s.control.rejected()});
    *result_.total += result_.statistics.back();
  }
}

void check(const Field& field, const Tensor& y0, const std::vector<std::vector<double>>& times,
           const Solver& solver) {
  check_state(y0);
  if (y0.rank() == 0) {
    throw ShapeError("solve: y0 () has no samples: its first axis must count them. Write (1, 1).");
  }
  check_stepping(solver);
  const bool is_explicit = solver.method->tableau() && !solver.method.facts().implicit;
  if (!std::holds_alternative<Adaptive>(solver.stepping) || !is_explicit) {
    throw ValueError(
        concat("solve: steps per sample are for explicit Runge-Kutta methods that "
               "choose their steps, got ",
               solver.method.name(), ". Take shared steps, or e.g. dopri5@1e-3."));
  }
  if (field.evaluate_again) {
    throw ValueError(
        "solve: steps per sample need a field whose samples do not know of each other, but this "
        "one "
        "collects statistics of the batch (BatchNorm in training). Take shared steps.");
  }
  const auto n = static_cast<size_t>(y0.dim(0));
  if (times.empty() || (times.size() != 1 && times.size() != n)) {
    throw ValueError(concat("solve: times of ", times.size(), " samples for y0 ", describe(y0),
                            ". Pass one row of times for all, or one for each sample."));
  }
  for (const std::vector<double>& own : times) {
    check_times(own);
    if (own.size() == times.front().size()) continue;
    throw ValueError("solve: every sample needs the same number of output times. Repeat the last.");
  }
  if (capturing()) {
    throw PlanError(
        "solve: adaptive steps depend on values of the device, which a captured function cannot "
        "read. Pass StepPlans to the solve and capture what is around it.");
  }
}

}  // namespace

size_t PerSampleSolution::failures() const {
  return static_cast<size_t>(std::count_if(
      statuses.begin(), statuses.end(), [](Status status) { return status != Status::success; }));
}

const PerSampleSolution& PerSampleSolution::or_throw() const {
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (statuses[i] == Status::success) continue;
    const size_t others = failures() - 1;
    throw SolveError(messages[i] +
                     (others > 0 ? concat(" (", others, " other samples failed too.)") : ""));
  }
  return *this;
}

PerSampleSolution solve_per_sample(const Field& field, const Tensor& y0,
                                   const std::vector<std::vector<double>>& times,
                                   const Solver& solver, const PerSampleOptions& options) {
  check(field, y0, times, solver);
  const ExactScope exact(needs_exact_kernels(solver));
  PerSampleSolution result;
  const auto n = static_cast<size_t>(y0.dim(0));
  result.statuses.assign(n, Status::success);
  result.messages.assign(n, "");
  result.warnings = tolerance_warnings(std::get<Adaptive>(solver.stepping), y0);
  if (y0.size() == 0) {
    result.y = y0;
    result.ys.assign(times.front().size(), y0);
    for (size_t i = 0; i < n; ++i) {
      const std::vector<double>& own = times.size() == 1 ? times.front() : times[i];
      result.grids.push_back({own.front()});
      result.ts.push_back(own.back());
    }
    result.statistics.resize(n);
    return result;
  }
  result.total->samples = static_cast<int64_t>(n);
  Batch(field, y0, times, solver, options, result).run();
  if (result.warnings.empty())
    result.warnings = tolerance_warnings(std::get<Adaptive>(solver.stepping), result.y);
  return result;
}

}  // namespace slope::ode
