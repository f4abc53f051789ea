// Solves with implicit methods: stiff problems, what happens when the equations of a step have no
// solution.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "core/plan.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/per_sample.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "ode/stiffness.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

Problem robertson() { return problem_until("robertson", 1e5); }

}  // namespace

// y' = l (y - cos t) - sin t with y = cos t: for l h far below -1, methods fall to their stage
// order (Prothero and Robinson 1974). Stiffly accurate ones gain where others lose.
TEST_CASE("implicit order: what a stiff problem leaves of it") {
  const double l = -1e6;
  const Field f{.evaluate = [=](const Tensor& t, const Tensor& y, const Tensors&) {
    return l * (y - cos(t)) - sin(t);
  }};
  struct Row {
    const char* name;
    double least, most;  // of the measured order
  };
  for (const Row& r : std::vector<Row>{{"implicit-euler", 0.8, 1.3},
                                       {"trapezoid", 1.6, 2.3},
                                       {"gauss4", 1.6, 2.3},
                                       {"radau5", 2.6, 3.6},
                                       {"sdirk2", 0.8, 1.3},
                                       {"kvaerno3", 1.6, 3.3}}) {
    std::vector<double> errors;
    for (int64_t steps : {8, 16, 32}) {
      const Solver solver{.method = tableau(r.name), .stepping = Steps{steps}};
      errors.push_back(
          largest_difference(solve(f, row({1}), {0, 1}, solver).or_throw().y, {std::cos(1.0)}));
    }
    const double order = std::log2(errors[0] / errors[2]) / 2;
    CHECK_MESSAGE((order > r.least && order < r.most), r.name << ": " << order);
  }
}

TEST_CASE("stiff: Robertson to 1e5 and Van der Pol with mu = 1000" * doctest::test_suite("long")) {
  const Problem chemistry = robertson(), relaxation = problem_until("vanderpol,mu=1000", 2000);
  const std::vector<double> robertson_end = problems::known_solution(chemistry, 1e5);
  const std::vector<double> vanderpol_end = problems::known_solution(relaxation, 2000);
  REQUIRE(!robertson_end.empty());
  REQUIRE(!vanderpol_end.empty());
  for (const char* word : {"kvaerno3@1e-6,1e-10", "kencarp4@1e-6,1e-10"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const Solution a = solve(chemistry.field, chemistry.y0, {0, 1e5}, solver);
    CHECK(a.status == Status::success);
    const std::vector<double> y = a.y.values();
    CHECK(largest_difference(a.y, robertson_end) < 1e-6);
    CHECK(y[1] == doctest::Approx(robertson_end[1]).epsilon(1e-4));
    CHECK(y[0] + y[1] + y[2] == doctest::Approx(1).epsilon(1e-9));
    CHECK(a.statistics->accepted < 5000);
    CHECK(a.statistics->newton_iterations > a.statistics->accepted);
    CHECK(a.statistics->jacobian_products > a.statistics->newton_iterations);

    const Solution v = solve(relaxation.field, relaxation.y0, {0, 2000}, solver);
    CHECK(v.status == Status::success);
    CHECK(largest_difference(v.y, vanderpol_end) < 1e-6);
  }
}

TEST_CASE("stiff: explicit methods stop at their budget, and say why and what to take" *
          doctest::test_suite("long")) {
  const Problem chemistry = robertson();
  const Problem relaxation = vanderpol(1000);
  for (const char* word :
       {"dopri5@1e-6", "bosh3@1e-6,1e-10", "tsit5@1e-6", "dopri8@1e-6", "adams@1e-6"}) {
    for (const Problem* p : {&chemistry, &relaxation}) {
      Solver solver = parse_solver(word);
      std::get<Adaptive>(solver.stepping).max_steps = 4000;
      const Solution s = solve(p->field, p->y0, {0, p == &chemistry ? 1e5 : 2000}, solver);
      CAPTURE(s.message);
      CHECK(s.status == Status::step_limit);
      CHECK(s.message.find("the budget of 4000 steps ended at t = ") != std::string::npos);
      CHECK(s.message.find("The problem is stiff here: its fastest rate is about ") !=
            std::string::npos);
      CHECK(s.message.find("Take an implicit method, as in kvaerno3@1e-") != std::string::npos);
      CHECK(std::isfinite(s.y.values()[0]));
    }
  }
  // Each sample for itself too.
  Solver each = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(each.stepping).max_steps = 2000;
  const PerSampleSolution rows = solve_per_sample(
      chemistry.field, concatenate({chemistry.y0, chemistry.y0}, 0), {{0, 1e5}, {0, 1e-6}}, each);
  CHECK(rows.messages[0].find("sample 0: the budget of 2000 steps ended at") != std::string::npos);
  CHECK(rows.messages[0].find("The problem is stiff here") != std::string::npos);
  CHECK(rows.messages[0].find("as in kvaerno3@1e-6") != std::string::npos);
  CHECK(rows.messages[1].empty());
  // Whoever looks for the reason gives the field its time as the steps do.
  for (const bool stiff : {true, false}) {
    const Field rows_only{.evaluate = [=](const Tensor& t, const Tensor& y, const Tensors&) {
      REQUIRE(t.shape() == Shape{y.dim(0), 1});
      return stiff ? -1e9 * (y - t) : y * log(0.5 - t);
    }};
    const PerSampleSolution s = solve_per_sample(rows_only, row({1}), {{0, 1}}, each);
    CHECK(s.statuses[0] == (stiff ? Status::step_limit : Status::not_finite));
  }
  // Accuracy, not stability: no such claim.
  Solver solver = parse_solver("dopri5@1e-12");
  std::get<Adaptive>(solver.stepping).max_steps = 50;
  const Solution s = solve(kepler_problem().field, kepler_problem().y0, {0, 10}, solver);
  CHECK(s.status == Status::step_limit);
  CHECK(s.message.find("stiff") == std::string::npos);
  CHECK(s.message.find("Raise rtol (now 1e-12) or max_steps.") != std::string::npos);
}

TEST_CASE("stiff: the fastest rate of a linear field is its largest eigenvalue") {
  const Tensor a = tensor({-3, 1, 0, -500}, {2, 2}, Dtype::f64);
  const Field f{.context = {a}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
                  return linear(y, c[0]);
                }};
  const Tensor y = row({1, 0});
  CHECK(fastest_rate(f, 0, y, f({}, y)) == doctest::Approx(500).epsilon(1e-3));
  CHECK(fastest_rate(f, 0, row({0, 0}), row({0, 0})) == doctest::Approx(500).epsilon(1e-3));
}

TEST_CASE("stiff: many samples at once, each with its own rates") {
  // y' = -r (y - cos t), r from 1 to 1e6, sample by sample.
  std::vector<double> rates;
  for (int i = 0; i < 7; ++i) rates.push_back(std::pow(10.0, i));
  const Tensor r = tensor(rates, {7, 1}, Dtype::f64);
  const Field f{.context = {r}, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                  return c[0] * (cos(t) - y);
                }};
  const Solution s =
      solve(f, ones({7, 1}, Dtype::f64), {0, 3}, parse_solver("kvaerno3@1e-7")).or_throw();
  std::vector<double> expected;
  for (double rate : rates) {
    const double particular = rate * (rate * std::cos(3.0) + std::sin(3.0)) / (1 + rate * rate);
    expected.push_back(particular + (1 - rate * rate / (1 + rate * rate)) * std::exp(-3 * rate));
  }
  CHECK(largest_difference(s.y, expected) < 2e-6);
}

TEST_CASE("implicit: in float32, backwards in time, and with several output times") {
  const Problem p = cosine_problem();
  const Solution single =
      solve(p.field, cast(p.y0, Dtype::f32), {0, 0.7, 2}, parse_solver("kvaerno3@1e-4"));
  CHECK(single.status == Status::success);
  CHECK(single.y.dtype() == Dtype::f32);
  CHECK(largest_difference(single.ys[1], p.solution(0.7)) < 2e-3);
  const Solution there = solve(p.field, p.y0, {0, 2}, parse_solver("gauss6:20")).or_throw();
  const Solution back = solve(p.field, there.y, {2, 0}, parse_solver("gauss6:20")).or_throw();
  CHECK(largest_difference(back.y, p.y0.values()) < 1e-12);  // Gauss' methods are symmetric
}

TEST_CASE("implicit: states of any size, in both precisions") {
  const Field f{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return -2.0 * y; }};
  for (const char* word : {"implicit-euler:10", "gauss4:5", "kvaerno3:10"}) {
    CAPTURE(word);
    for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const auto end = [&](double size) {
        const Tensor y0 = tensor({size, -0.3 * size, 0}, {1, 3}, dtype);
        return (solve(f, y0, {0, 1}, parse_solver(word)).or_throw().y / size).values()[0];
      };
      const bool narrow = dtype == Dtype::f32;
      for (double size : {narrow ? 1e20 : 1e200, narrow ? 1e-30 : 1e-200}) {
        CAPTURE(size);
        CHECK(end(size) == doctest::Approx(end(1)).epsilon(narrow ? 1e-5 : 1e-13));
      }
      CHECK(end(1) == doctest::Approx(std::exp(-2)).epsilon(0.2));
    }
  }
}

TEST_CASE("implicit: the gradient of a stiff problem, whose cotangents decay to nothing") {
  // y' = -300 (y - cos t): after t = 1 nothing is left of y0, and the gradient of the rate is that
  // of the slow solution y = (r^2 cos t + r sin t) / (1 + r^2).
  const Field f{.context = {row({300})},
                .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                  return neg(c[0] * (y - cos(t)));
                }};
  const auto slow = [](double r) {
    return (r * r * std::cos(1.) + r * std::sin(1.)) / (1 + r * r);
  };
  const double rate = 2 * (slow(300.01) - slow(299.99)) / 0.02;  // of both samples
  for (const char* word : {"implicit-euler:2000", "radau5:50", "kencarp4@1e-7", "kvaerno3@1e-7"}) {
    CAPTURE(word);
    const Tensor y0 = tensor({0.2, 3}, {2, 1}, Dtype::f64);
    Tape tape({y0, f.context[0]});
    const Solution s = solve_differentiable(f, y0, {0, 1}, parse_solver(word));
    const Tensors d = tape.gradient(sum(s.y), {y0, f.context[0]});
    CHECK(largest_difference(d[0], {0, 0}) < 1e-20);
    CHECK(d[1].item() == doctest::Approx(rate).epsilon(0.01));
  }
}

TEST_CASE("implicit: equations without a solution are a status, or a reason for a smaller step") {
  // k = (1 + h k)^2 has no real solution for h > 1/4.
  const Field f{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return square(y); }};
  const Solution fixed = solve(f, row({1}), {0, 0.9}, parse_solver("implicit-euler:2"));
  CHECK(fixed.status == Status::not_converged);
  CHECK(fixed.t == 0);
  CHECK(fixed.y.item() == 1);
  CHECK(fixed.message.find("solve: Newton's method did not converge (12 iterations, ") == 0);
  CHECK(fixed.message.find("in the step from t = 0 with h = 0.45") != std::string::npos);
  CHECK(fixed.message.find("Try smaller steps.") != std::string::npos);
  // y = 1 / (1 - t)
  const Solution adaptive =
      solve(f, row({1}), {0, 0.9},
            {.method = method("kvaerno3"), .stepping = Adaptive{.rtol = 1e-6, .first_step = 0.9}});
  CHECK(adaptive.status == Status::success);
  CHECK(adaptive.statistics->rejected > 0);
  CHECK(adaptive.y.item() == doctest::Approx(10).epsilon(1e-2));
  const Solution through_the_pole = solve(f, row({1}), {0, 2}, parse_solver("kvaerno3@1e-6"));
  CHECK(through_the_pole.status != Status::success);
  CHECK(through_the_pole.t < 1.001);
}

TEST_CASE("implicit: NaN from the field is a status with the place") {
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return y * sqrt(0.5 - t);
  }};
  for (const char* word : {"gauss4:10", "kvaerno3:10", "kvaerno3@1e-4"}) {
    const Solution s = solve(f, row({1}), {0, 1}, parse_solver(word));
    CAPTURE(word);
    CHECK(s.status == Status::not_finite);
    CHECK(s.t <= 0.5);
    CHECK(s.t >= 0.4);
    CHECK(s.message.find("the field returned NaN at t = 0.5") != std::string::npos);
  }
}

TEST_CASE("implicit: a field without gradient, and a capture, are errors in one line") {
  const Field host{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    return tensor({-y.values()[0]}, {1, 1}, Dtype::f64);
  }};
  CHECK_THROWS_WITH_AS(
      solve(host, row({1}), {0, 1}, parse_solver("kvaerno3@1e-3")),
      "solve: an implicit method needs the field's gradient, but the tape does not see how this "
      "field's value depends on y. Compute the field from y with slope's ops, or take an explicit "
      "method, as in dopri5.",
      ValueError);
  const Problem p = cosine_problem();
  try {
    Plan({p.y0}, [&](const Tensors& in) {
      return Tensors{solve(p.field, in[0], {0, 1}, parse_solver("gauss4:2")).y};
    });
    FAIL("captured an implicit step");
  } catch (const PlanError& error) {
    CHECK(std::string(error.what()).find("gauss4") != std::string::npos);
  }
}
