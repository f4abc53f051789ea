#include "ode/adapt.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/ops/pointwise.h"
#include "core/word.h"
#include "ode/initial_step.h"
#include "ode/methods.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

constexpr double kMoreAccurate = 50;  // the test solver, about
constexpr double kFirstTolerance = 1e-6;
constexpr double kCoarser = 1.1;
constexpr size_t kRemembered = 5;       // evaluations of the last training steps
constexpr int64_t kTighterRounds = 10;  // of the test tolerance in one decision

// Mean over all other axes of the Euclidean length along one: the last, of pictures that of W.
double mean_length(const Tensor& x) {
  const Shape& shape = x.shape();
  const int rank = shape.rank(), axis = rank == 4 ? 2 : rank - 1;
  int64_t inner = 1;
  for (int i = axis + 1; i < rank; ++i) inner *= shape[i];
  const int64_t length = shape[axis], rows = x.size() / length;
  const std::vector<double> values = x.values();
  double total = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row / inner * inner * length + row % inner;
    double square = 0;
    for (int64_t i = 0; i < length; ++i) {
      const double v = values[static_cast<size_t>(first + i * inner)];
      square += v * v;
    }
    total += std::sqrt(square);
  }
  return total / static_cast<double>(rows);
}

}  // namespace

AdaptRules parse_adapt(const std::string& text) {
  Word word("adapt", text);
  AdaptRules rules;
  if (word.name() != "step" && word.name() != "tolerance")
    throw ValueError(concat("adapt: what is adapted is a step or a tolerance, got \"", text,
                            "\". Write step or tolerance, as in step,every=50."));
  rules.kind = word.name() == "step" ? AdaptKind::step : AdaptKind::tolerance;
  const auto take = [&](const char* option, double otherwise, double least, double most) {
    const std::optional<std::string> given = word.take(option);
    const std::optional<double> value = given ? parse_number(*given) : otherwise;
    if (!value || *value < least || *value > most)
      throw ValueError(concat("adapt: ", option, " in ", text, " must be a number from ", least,
                              " to ", most, ", got ", given.value_or(""), "."));
    return *value;
  };
  const auto take_count = [&](const char* option, int64_t otherwise) {
    const double value = take(option, static_cast<double>(otherwise), 1, 1e9);
    if (value != std::floor(value))
      throw ValueError(concat("adapt: ", option, " in ", text, " must be a whole number."));
    return static_cast<int64_t>(value);
  };
  rules.every = take_count("every", rules.every);
  rules.threshold = take("threshold", rules.threshold, 0, 1);
  if (rules.kind == AdaptKind::step) rules.max_steps = take_count("max-steps", rules.max_steps);
  rules.first = take("first", 0, 0, 1);
  rules.test = word.take("test").value_or("");
  word.expect_empty(rules.kind == AdaptKind::step ? "every, threshold, max-steps, first, test"
                                                  : "every, threshold, first, test");
  if (!rules.test.empty()) method(rules.test);  // names the nearest one where there is none
  return rules;
}

double first_step(double h0, double slope, double change, int order) {
  // initial_step_size takes the root of an estimate's order, one more than the method's here.
  return initial_step_size(h0, slope, change, order + 1);
}

double test_step(double h, int order, int test_order) {
  if (std::pow(h, order - test_order) > kMoreAccurate) return h;
  return std::pow(std::pow(h, order) / kMoreAccurate, 1.0 / test_order);
}

double finer_step(double h, int64_t max_steps) {
  const auto most = static_cast<double>(max_steps);
  if (2 / h <= most) return h / 2;
  // Steps that only rounding keeps from the limit, or that are past it, stay.
  if (std::floor(1 / h * (1 + 1e-12)) >= most) return h;
  return 2 * h / (most * h + 1);
}

double coarser_step(double h) { return std::min(kCoarser * h, 1.0); }

Method test_method(const Method& training, AdaptKind kind) {
  const int order = training.facts().order;
  if (kind == AdaptKind::tolerance) return order < 5 ? method("dopri5") : training;
  if (order < 2) return method("midpoint");
  if (order < 3) return method("rk38");
  if (order < 5) return method("verner6");
  return order < 8 ? method("dopri8") : training;
}

const char* name(AdaptDecision::Change change) {
  constexpr const char* kNames[] = {"finer", "coarser", "kept", "at-limit"};
  return kNames[static_cast<int>(change)];
}

SolverAdaptation::SolverAdaptation(const AdaptRules& rules, const Solver& start, Dtype dtype)
    : rules_(rules), start_(start), least_tolerance_(dtype == Dtype::f64 ? 1e-13 : 1e-8) {
  const bool adaptive = std::holds_alternative<Adaptive>(start.stepping);
  if (rules.kind == AdaptKind::step && adaptive)
    throw ValueError(concat("adapt: ", start.method.name(),
                            " chooses its own steps. Use tolerance, or fixed steps, as in ",
                            start.method.name(), ":4."));
  if (rules.kind == AdaptKind::tolerance && !adaptive)
    throw ValueError(concat("adapt: fixed steps of ", start.method.name(),
                            " have no tolerance. Use step, or an adaptive solver, as in "
                            "dopri5@1e-3."));
  test_ = rules.test.empty() ? test_method(start.method, rules.kind) : method(rules.test);
  if (rules.kind == AdaptKind::tolerance && !test_.facts().has_error())
    throw ValueError(concat("adapt: test=", rules.test,
                            " has no error estimate, and so no tolerance. Use one of ",
                            "bosh3, dopri5, tsit5, dopri8."));
  if (rules.kind == AdaptKind::step && test_.facts().order < start.method.facts().order)
    throw ValueError(concat("adapt: test=", rules.test, " has order ", test_.facts().order,
                            ", below that of ", start.method.name(), ", ",
                            start.method.facts().order, ". Choose a method at least as accurate."));
  size_ = rules.first > 0 ? rules.first : rules.kind == AdaptKind::tolerance ? kFirstTolerance : 0;
}

void SolverAdaptation::start_with(const Field& field, const Tensor& y0) {
  const MuteTapes quiet;
  const Tensor t = scalar(0, y0.dtype(), y0.device());
  const Tensor slope = field(t, y0);
  const double d0 = mean_length(y0), d1 = mean_length(slope), h0 = trial_step(d0, d1);
  const double d2 = mean_length(field(t, y0 + slope * h0) - slope) / h0;
  const double h = first_step(h0, d1, d2, start_.method.facts().order);
  if (!(h > 0))
    throw SolveError("adapt: the model's field is not finite on the first batch. Lower --lr.");
  size_ = size_ == 0 ? h : std::min(size_, h);
}

bool SolverAdaptation::differ(double a, double b) const {
  // Accuracies are counts over the batch: rounding must not decide.
  return std::abs(a - b) > rules_.threshold + 1e-12;
}

Solver SolverAdaptation::sized(double size) const {
  Solver solver = start_;
  if (auto* adaptive = std::get_if<Adaptive>(&solver.stepping)) {
    adaptive->atol *= size / adaptive->rtol;
    adaptive->rtol = size;
  } else {
    solver.stepping = StepSize{size};
  }
  return solver;
}

AdaptDecision SolverAdaptation::decide(int64_t step, const MeasureBatch& measure) {
  AdaptDecision decision =
      rules_.kind == AdaptKind::step ? decide_step(measure) : decide_tolerance(step, measure);
  using Change = AdaptDecision::Change;
  size_ = decision.after;
  if (decision.change != Change::at_limit)
    decision.change = decision.after < decision.before   ? Change::finer
                      : decision.after > decision.before ? Change::coarser
                                                         : Change::kept;
  return decision;
}

AdaptDecision SolverAdaptation::decide_step(const MeasureBatch& measure) {
  AdaptDecision d{.before = size_, .after = size_};
  // A step past the end is a step of 1.
  d.test_size = test_step(std::min(size_, 1.0), start_.method.facts().order, test_.facts().order);
  d.train = measure(solver()).accuracy;
  d.test = measure({.method = test_, .stepping = StepSize{d.test_size}}).accuracy;
  if (differ(d.test, d.train)) {
    d.after = finer_step(size_, rules_.max_steps);
    if (d.after == d.before) d.change = AdaptDecision::Change::at_limit;
    return d;
  }
  const double coarser = coarser_step(size_);
  if (coarser == size_) return d;  // one step, and no coarser one to try
  d.trial = measure(sized(coarser)).accuracy;
  if (!differ(d.test, d.trial)) d.after = coarser;
  return d;
}

AdaptDecision SolverAdaptation::decide_tolerance(int64_t step, const MeasureBatch& measure) {
  AdaptDecision d{.before = size_, .after = size_};
  const BatchResult train = measure(solver());
  d.train = train.accuracy;
  Solver tester = sized(size_);
  tester.method = test_;
  auto& tolerance = std::get<Adaptive>(tester.stepping);
  const double ratio = tolerance.atol / tolerance.rtol;
  const auto set = [&](double size) {
    tolerance.rtol = d.test_size = std::max(size, least_tolerance_);
    tolerance.atol = ratio * tolerance.rtol;
  };
  set(size_ / (test_.name() == start_.method.name() ? 10 : 5));
  BatchResult test = measure(tester);
  // It has to work harder than the training solver to be a judge of it.
  for (int64_t round = 0; round < kTighterRounds && test.nfe <= train.nfe; ++round) {
    if (d.test_size <= least_tolerance_) break;
    set(d.test_size / 10);
    test = measure(tester);
  }
  d.test = test.accuracy;
  if (differ(d.test, d.train)) {
    d.after = std::max(size_ / 2, least_tolerance_);
    if (d.after >= d.before) d.after = d.before, d.change = AdaptDecision::Change::at_limit;
    return d;
  }
  const BatchResult trial = measure(sized(kCoarser * size_));
  d.trial = trial.accuracy;
  // A looser tolerance that saves nothing is not worth its risk.
  const bool same_work =
      step >= static_cast<int64_t>(kRemembered) && nfe_.size() == kRemembered &&
      std::all_of(nfe_.begin(), nfe_.end(), [&](double nfe) { return nfe == trial.nfe; });
  if (!differ(d.test, d.trial) && !same_work) d.after = kCoarser * size_;
  return d;
}

void SolverAdaptation::observe(double nfe) {
  nfe_.push_back(nfe);
  if (nfe_.size() > kRemembered) nfe_.erase(nfe_.begin());
}

std::vector<double> SolverAdaptation::state() const {
  std::vector<double> values{size_};
  values.insert(values.end(), nfe_.begin(), nfe_.end());
  values.resize(1 + kRemembered, -1);
  return values;
}

bool SolverAdaptation::restore(const std::vector<double>& values) {
  if (values.size() != 1 + kRemembered || !std::isfinite(values[0]) || values[0] < 0) return false;
  size_ = values[0];
  nfe_.clear();
  for (size_t i = 1; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return false;
    if (values[i] >= 0) nfe_.push_back(values[i]);
  }
  return true;
}

}  // namespace slope::ode
