// Adapting a solver during training: the published numbers and decisions.
#include "ode/adapt.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/ops.h"
#include "ode/initial_step.h"
#include "ode/methods.h"
#include "ode/solver_word.h"

using namespace slope;
using namespace slope::ode;

namespace {

AdaptRules step_rules(double first) {
  AdaptRules rules;
  rules.first = first;
  return rules;
}
AdaptRules tolerance_rules(double first) {
  AdaptRules rules = step_rules(first);
  rules.kind = AdaptKind::tolerance;
  return rules;
}

// Accuracies (and evaluations) by solver word; any other solver is an error.
MeasureBatch table(std::map<std::string, BatchResult> results) {
  return [results](const Solver& solver) {
    const std::string word = solver_word(solver);
    INFO(word);
    REQUIRE(results.contains(word));
    return results.at(word);
  };
}

}  // namespace

TEST_CASE("adapt: the published first steps") {
  // f = -2 y on a batch with norms 5 and 10.
  const double d0 = 7.5, d1 = 15, h0 = trial_step(d0, d1), d2 = 2 * 0.01 / 2 * d1 / h0;
  CHECK(h0 == doctest::Approx(0.005));
  CHECK(first_step(h0, d1, d2, 1) == doctest::Approx(0.0182574).epsilon(1e-5));
  CHECK(first_step(h0, d1, d2, 2) == doctest::Approx(0.0693361).epsilon(1e-5));
  CHECK(first_step(h0, d1, d2, 4) == doctest::Approx(0.2016396).epsilon(1e-5));
  // No upper bound of 1, and short states do not divide by zero.
  CHECK(first_step(1, 0.001, 0.001, 1) > 1);
  CHECK(first_step(trial_step(0, 0), 0, 0, 1) == doctest::Approx(1e-6));
}

TEST_CASE("adapt: the first step of a field is that of its lengths, the smallest of all blocks") {
  const Field field{.context = {}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
                      return y * -2.0;
                    }};
  const Tensor y0 = tensor({3, 4, 6, 8}, {2, 1, 2}, Dtype::f64);  // norms 5 and 10
  for (const auto& [word, step] : std::map<std::string, double>{
           {"euler", 0.0182574}, {"midpoint", 0.0693361}, {"rk38", 0.2016396}}) {
    SolverAdaptation adaptation({}, parse_solver(word), Dtype::f64);
    CHECK(adaptation.wants_start());
    adaptation.start_with(field, y0);
    CHECK(!adaptation.wants_start());
    CHECK(adaptation.size() == doctest::Approx(step).epsilon(1e-5));
    adaptation.start_with(field, y0 * 10.0);  // a longer state: a smaller step
    CHECK(adaptation.size() < step * 0.9);
    const double smallest = adaptation.size();
    adaptation.start_with(field, y0);
    CHECK(adaptation.size() == smallest);
  }
  // Of pictures (N, H, W, C) lengths are along W: here 5 and 10 again.
  SolverAdaptation pictures({}, parse_solver("euler"), Dtype::f64);
  pictures.start_with(field, tensor({3, 6, 4, 8}, {1, 1, 2, 2}, Dtype::f64));
  CHECK(pictures.size() == doctest::Approx(0.0182574).epsilon(1e-5));
}

TEST_CASE("adapt: the published steps of the test solver") {
  CHECK(test_step(1, 1, 2) == doctest::Approx(0.141421).epsilon(1e-5));
  CHECK(test_step(0.1, 1, 2) == doctest::Approx(0.0447214).epsilon(1e-5));
  CHECK(test_step(0.02, 1, 2) == doctest::Approx(0.02));
  CHECK(test_step(1.0 / 64, 1, 2) == 1.0 / 64);
  CHECK(test_step(1, 2, 4) == doctest::Approx(0.37606).epsilon(1e-5));
  CHECK(test_step(0.2, 2, 4) == doctest::Approx(0.168179).epsilon(1e-5));
  CHECK(test_step(0.14, 2, 4) == 0.14);
  // The alternative in the published code: the fourth order for Euler's method.
  CHECK(test_step(0.3, 1, 4) == 0.3 * 0 + std::pow(0.3 / 50, 0.25));
  CHECK(test_step(0.2, 1, 4) == 0.2);
  // A method against itself: 50 times as accurate.
  CHECK(test_step(0.5, 8, 8) == doctest::Approx(0.5 / std::pow(50, 0.125)));
}

TEST_CASE("adapt: finer and coarser steps") {
  CHECK(finer_step(1, 500) == 0.5);
  CHECK(finer_step(0.004, 500) == 0.002);            // 500 steps are allowed
  CHECK(finer_step(0.003, 500) == 2 * 0.003 / 2.5);  // 1/h and 500: the mean
  CHECK(1 / finer_step(0.0025, 500) == doctest::Approx((400 + 500) / 2.0));
  CHECK(finer_step(0.002, 500) == 0.002);  // at the limit
  CHECK(finer_step(1.0 / 7, 7) == 1.0 / 7);
  CHECK(coarser_step(0.5) == doctest::Approx(0.55));
  CHECK(coarser_step(0.95) == 1);
  CHECK(coarser_step(1) == 1);
  CHECK(coarser_step(2) == 1);
}

TEST_CASE("adapt: which solver judges") {
  const auto judge = [](const char* word, AdaptKind kind) {
    return test_method(parse_solver(word).method, kind).name();
  };
  CHECK(judge("euler", AdaptKind::step) == "midpoint");
  CHECK(judge("midpoint", AdaptKind::step) == "rk38");
  CHECK(judge("rk2,u=0.3", AdaptKind::step) == "rk38");
  for (const char* word : {"kutta3", "rk4", "rk38", "rk3,u=1/3,v=2/3"})
    CHECK(judge(word, AdaptKind::step) == "verner6");
  CHECK(judge("dopri5:4", AdaptKind::step) == "dopri8");
  CHECK(judge("dopri8:4", AdaptKind::step) == "dopri8");
  CHECK(judge("fehlberg2", AdaptKind::tolerance) == "dopri5");
  CHECK(judge("dopri5", AdaptKind::tolerance) == "dopri5");
  CHECK(judge("dopri8", AdaptKind::tolerance) == "dopri8");
}

TEST_CASE("adapt: decisions about the step") {
  using Change = AdaptDecision::Change;
  struct Case {
    double h, train, test, trial, after;
    Change change;
  };
  const Case cases[] = {
      {0.1, 0.50, 0.75, -1, 0.05, Change::finer},     // 0.25 apart: half the step
      {0.1, 0.75, 0.50, -1, 0.05, Change::finer},     // whichever is better
      {0.1, 0.50, 0.60, 0.6, 0.11, Change::coarser},  // 0.1 apart is not apart
      {0.1, 0.50, 0.60, 0.49, 0.1, Change::kept},     // the coarser one is: keep
      {0.95, 0.9, 0.9, 0.9, 1, Change::coarser},      // at most 1
      {0.004, 0.2, 0.9, -1, 0.002, Change::finer},
      {0.0025, 0.2, 0.9, -1, 1 / 450.0, Change::finer},
      {0.002, 0.2, 0.9, -1, 0.002, Change::at_limit},
  };
  for (const Case& c : cases) {
    CAPTURE(c.h);
    SolverAdaptation adaptation(step_rules(c.h), parse_solver("euler"), Dtype::f32);
    // Called in this order; the trial only where it is due.
    std::vector<BatchResult> answers{{c.train, 1}, {c.test, 1}};
    if (c.trial >= 0) answers.push_back({c.trial, 1});
    std::vector<std::string> asked;
    const AdaptDecision d = adaptation.decide(49, [&](const Solver& solver) {
      asked.push_back(solver_word(solver));
      REQUIRE(asked.size() <= answers.size());
      return answers[asked.size() - 1];
    });
    CHECK(asked.size() == answers.size());
    CHECK(d.before == c.h);
    CHECK(d.after == doctest::Approx(c.after).epsilon(1e-12));
    CHECK(d.change == c.change);
    CHECK(d.trial == c.trial);
    CHECK(adaptation.size() == d.after);
    CHECK(asked[1] ==
          solver_word({.method = method("midpoint"), .stepping = StepSize{test_step(c.h, 1, 2)}}));
  }
  // One step: there is no coarser one to try.
  SolverAdaptation one(step_rules(1), parse_solver("euler"), Dtype::f32);
  int64_t calls = 0;
  const AdaptDecision d = one.decide(49, [&](const Solver&) {
    ++calls;
    return BatchResult{1, 1};
  });
  CHECK(calls == 2);
  CHECK(d.change == Change::kept);
  for (int64_t step : {0, 48, 50}) CHECK(!one.due(step));
  for (int64_t step : {49, 99}) CHECK(one.due(step));
}

TEST_CASE("adapt: decisions about the tolerance") {
  using Change = AdaptDecision::Change;
  const Solver dopri5 = parse_solver("dopri5@1e-3");
  {
    // The judge must work harder: 1e-7 does not, 1e-8 does. The accuracies differ: half.
    SolverAdaptation a(tolerance_rules(0), dopri5, Dtype::f64);
    CHECK(solver_word(a.solver()) == "dopri5@1e-6");
    const AdaptDecision d = a.decide(49, table({{"dopri5@1e-6", {0.5, 44}},
                                                {"dopri5@1e-7", {0.5, 44}},
                                                {"dopri5@1e-8", {0.9, 50}}}));
    CHECK(d.change == Change::finer);
    CHECK(d.after == 0.5e-6);
    CHECK(d.test_size == doctest::Approx(1e-8));
  }
  {
    // fehlberg2 is judged by dopri5, at a fifth; both tolerances keep their ratio.
    SolverAdaptation a(tolerance_rules(0.5), parse_solver("fehlberg2@1/4,1/32"), Dtype::f64);
    CHECK(solver_word(a.solver()) == "fehlberg2@0.5,0.0625");
    const AdaptDecision d = a.decide(49, table({{"fehlberg2@0.5,0.0625", {0.5, 8}},
                                                {"dopri5@0.1,0.0125", {0.55, 14}},
                                                {"fehlberg2@0.55,0.06875", {0.5, 7}}}));
    CHECK(d.change == Change::coarser);
    CHECK(a.size() == doctest::Approx(0.55));
  }
  // The looser one: another accuracy, or the work of the last five steps, keeps the tolerance.
  const auto decide = [&](double accuracy, double nfe, const std::vector<double>& seen,
                          int64_t step) {
    SolverAdaptation a(tolerance_rules(0.25), dopri5, Dtype::f64);
    for (double n : seen) a.observe(n);
    const auto answer = [&](const Solver& solver) {
      const double rtol = std::get<Adaptive>(solver.stepping).rtol;
      return rtol < 0.25    ? BatchResult{0.8, 50}
             : rtol == 0.25 ? BatchResult{0.8, 44}
                            : BatchResult{accuracy, nfe};
    };
    return a.decide(step, answer).change;
  };
  CHECK(decide(0.8, 38, {44, 44, 44, 44, 44}, 49) == Change::coarser);
  CHECK(decide(0.6, 38, {44, 44, 44, 44, 44}, 49) == Change::kept);
  CHECK(decide(0.8, 44, {44, 44, 44, 44, 44}, 49) == Change::kept);
  CHECK(decide(0.8, 44, {38, 44, 44, 44, 44, 44}, 49) == Change::kept);  // five count
  CHECK(decide(0.8, 44, {44, 44, 38, 44, 44}, 49) == Change::coarser);
  CHECK(decide(0.8, 44, {44, 44, 44, 44}, 4) == Change::coarser);  // too early to tell
  // A judge that cannot be made to work harder ends the search.
  SolverAdaptation a(tolerance_rules(1e-6), dopri5, Dtype::f32);
  int64_t calls = 0;
  a.decide(49, [&](const Solver&) {
    ++calls;
    return BatchResult{1, 44};
  });
  CHECK(calls <= 5);
}

TEST_CASE("adapt: a solver goes on from its checkpoint") {
  SolverAdaptation a(step_rules(0.25), parse_solver("euler"), Dtype::f32);
  for (double n : {1., 2., 3., 4., 5., 6.}) a.observe(n);
  CHECK(a.state() == std::vector<double>{0.25, 2, 3, 4, 5, 6});
  SolverAdaptation b({}, parse_solver("euler"), Dtype::f32);
  CHECK(b.state() == std::vector<double>{0, -1, -1, -1, -1, -1});
  REQUIRE(b.restore({0.5, 7, -1, -1, -1, -1}));
  CHECK(b.state() == std::vector<double>{0.5, 7, -1, -1, -1, -1});
  REQUIRE(b.restore(a.state()));
  CHECK(b.state() == a.state());
  CHECK(solver_word(b.solver()) == "euler:h=0.25");
  const std::vector<double> bad[] = {{},
                                     {1},
                                     {-1, 1, 1, 1, 1, 1},
                                     {NAN, 1, 1, 1, 1, 1},
                                     {1, 1, 1, INFINITY, 1, 1},
                                     {1, 2, 3, 4, 5, 6, 7}};
  for (const std::vector<double>& values : bad) CHECK(!b.restore(values));
}

TEST_CASE("adapt: words, and what cannot be adapted") {
  const AdaptRules rules =
      parse_adapt("step,every=10,threshold=1/5,max-steps=64,first=0.5,test=rk4");
  CHECK(rules.every == 10);
  CHECK(rules.threshold == 0.2);
  CHECK(rules.max_steps == 64);
  CHECK(rules.first == 0.5);
  CHECK(rules.test == "rk4");
  CHECK(parse_adapt("tolerance").kind == AdaptKind::tolerance);
  for (const char* bad : {"", "steps", "step,every=0", "step,every=1.5", "step,threshold=-1",
                          "step,threshold=x", "step,first=-1", "step,speed=1", "step,test=rk5",
                          "tolerance,max-steps=5", "step,max-steps=0"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_adapt(bad), ValueError);
  }
  const auto make = [](const char* adapt, const char* solver) {
    return SolverAdaptation(parse_adapt(adapt), parse_solver(solver), Dtype::f32);
  };
  CHECK_THROWS_AS(make("step", "dopri5@1e-3"), ValueError);
  CHECK_THROWS_AS(make("tolerance", "rk4:4"), ValueError);
  CHECK_THROWS_AS(make("tolerance,test=rk4", "dopri5@1e-3"), ValueError);
  CHECK_THROWS_AS(make("step,test=euler", "rk4:4"), ValueError);
  CHECK_NOTHROW(make("step,test=midpoint", "rk2,u=0.5:4"));
}
