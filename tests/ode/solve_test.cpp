// The solve: against values from outside, and what it does at its edges.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/plan.h"
#include "ode/methods.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "ode/step.h"
#include "tests/ode/problems.h"
#include "tests/ode/read_counter.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::ode;

namespace {

nlohmann::json golden() {
  std::ifstream file(test::source_dir() + "/tests/golden/odes.json");
  return nlohmann::json::parse(file);
}

Field field_named(const std::string& name) {
  if (name == "cosine") return cosine_problem().field;
  if (name == "sine") return sine_problem().field;
  if (name == "linear") return linear3().field;
  if (name == "lotka-volterra") return lotka_volterra().field;
  return vanderpol().field;
}

Field counting(const Field& f, int64_t& calls) {
  return {.context = f.context,
          .evaluate = [evaluate = f.evaluate, &calls](const Tensor& t, const Tensor& y,
                                                      const Tensors& context) {
            ++calls;
            return evaluate(t, y, context);
          }};
}

}  // namespace

TEST_CASE("step: slopes, result and error as computed with fifty digits") {
  int steps = 0;
  const nlohmann::json data = golden();
  for (const auto& row : data["steps"]) {
    CAPTURE(row.dump());
    const Tableau m = tableau(row["method"]);
    const double t = row["t"], h = row["h"];
    const Tensor y = ode::row(row["y"].get<std::vector<double>>());
    const Tensor clock = step_clock(m, t, t + h, Dtype::f64, y.device());
    const Step step = rk_step(m, field_named(row["problem"]), read_clock(clock), y);
    CHECK(largest_difference(step.y1, row["y1"]) < 1e-13);
    REQUIRE(step.slopes.size() == row["slopes"].size());
    for (size_t i = 0; i < step.slopes.size(); ++i) {
      CHECK(largest_difference(step.slopes[i], row["slopes"][i]) < 1e-12);
    }
    if (row.contains("error")) {
      CHECK(largest_difference(rk_error(m, scalar(h, Dtype::f64), step.slopes), row["error"]) <
            1e-14);
    }
    ++steps;
  }
  CHECK(steps >= 20);
}

TEST_CASE("solve: fixed steps as computed with fifty digits") {
  const nlohmann::json data = golden();
  for (const auto& row : data["solves"]) {
    CAPTURE(row.dump());
    const Solver solver{.method = method(row["method"]), .stepping = Steps{row["steps"]}};
    const Tensor y0 = ode::row(row["y0"].get<std::vector<double>>());
    const Solution s = solve(field_named(row["problem"]), y0, {row["t0"], row["t1"]}, solver);
    CHECK(s.status == Status::success);
    CHECK(largest_difference(s.y, row["y1"]) < 1e-11);
  }
}

TEST_CASE("solve: dopri5 takes the steps that torchdiffeq takes") {
  const nlohmann::json data = golden();
  for (const auto& row : data["adaptive"]) {
    CAPTURE(row.dump());
    const double tolerance = row["tolerance"];
    const Solver solver{.method = method("dopri5"),
                        .stepping = Adaptive{.rtol = tolerance, .atol = tolerance}};
    const Tensor y0 = ode::row(row["y0"].get<std::vector<double>>());
    const Solution s = solve(field_named(row["problem"]), y0, {0, row["t1"]}, solver);
    REQUIRE(s.status == Status::success);
    const Statistics& n = *s.statistics;
    // 2 for the first step's choice, 6 for each attempt.
    CHECK(n.evaluations == 2 + 6 * (n.accepted + n.rejected));
    CHECK(std::abs(n.evaluations - row["clip"]["evaluations"].get<int64_t>()) <= 6);
    CHECK(std::abs(n.accepted - row["clip"]["accepted"].get<int64_t>()) <= 1);
    CHECK(s.grid[1] == doctest::Approx(row["first_step"].get<double>()).epsilon(1e-9));
    if (n.evaluations == row["clip"]["evaluations"]) {
      CHECK(largest_difference(s.y, row["clip"]["y1"]) < 1e-9);
    }
    CHECK(s.grid.back() == row["t1"]);
    CHECK(s.grid.size() == static_cast<size_t>(n.accepted) + 1);
  }
}

TEST_CASE("solve: evaluations are counted as they happen") {
  for (const char* word :
       {"euler:5", "rk4:3", "rk38:h=0.7", "dopri5:4", "bosh3@1e-5", "dopri5@1e-4", "cash-karp@1e-4",
        "heun2@1e-3", "dopri8@1e-9", "verner6@1e-6~pi"}) {
    CAPTURE(word);
    int64_t calls = 0;
    const Problem p = cosine_problem();
    const Solution s = solve(counting(p.field, calls), p.y0, {0, 1, 5}, parse_solver(word));
    REQUIRE(s.status == Status::success);
    CHECK(s.statistics->evaluations == calls);
  }
  // A fixed step of an FSAL method does not evaluate the slope that only a next step would use.
  const Problem p = cosine_problem();
  const auto nfe = [&](const char* word) {
    return solve(p.field, p.y0, {0, 1}, parse_solver(word)).statistics->evaluations;
  };
  CHECK(nfe("rk4:1") == 4);
  CHECK(nfe("dopri5:4") == 24);
}

TEST_CASE("solve: every adaptive method reaches its tolerance, with every controller") {
  for (const char* method_name : {"heun2", "midpoint", "bosh3", "fehlberg2", "fehlberg45",
                                  "cash-karp", "dopri5", "tsit5", "verner6", "dopri8"}) {
    for (const char* controller : {"~i", "~pi", "~pid,0.3,0.3,0.1"}) {
      for (const Problem& p : order_problems()) {
        CAPTURE(p.name);
        const std::string word = concat(method_name, "@1e-6", controller);
        CAPTURE(word);
        const Solution s = solve(p.field, p.y0, {0, p.end}, parse_solver(word));
        REQUIRE(s.status == Status::success);
        // The estimate of an order 1 result says less about the error than the others.
        CHECK(largest_difference(s.y, p.solution(p.end)) <
              (tableau(method_name).order == 2 ? 5e-3 : 2e-4));
        CHECK(largest_difference(s.y, p.solution(p.end)) > 0);
      }
    }
  }
}

TEST_CASE("solve: several output times, each hit exactly") {
  const Problem p = kepler_problem();
  const std::vector<double> times = {0, 0.1, 0.1, 1, 1 + 1e-9, 2.5};
  for (const char* word : {"rk4:400", "dopri5@1e-9", "rk4:h=0.01"}) {
    CAPTURE(word);
    const Solution s = solve(p.field, p.y0, times, parse_solver(word));
    REQUIRE(s.status == Status::success);
    CHECK(s.times == times);
    REQUIRE(s.ys.size() == times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      CHECK(largest_difference(s.ys[i], p.solution(times[i])) < 1e-6);
    }
  }
  // A step cut short for an output does not make the controller start over.
  const auto accepted = [&](const std::vector<double>& at) {
    return solve(p.field, p.y0, at, parse_solver("dopri5@1e-6")).statistics->accepted;
  };
  CHECK(accepted({0, 1, 1 + 1e-9, 3}) <= accepted({0, 3}) + 3);
}

TEST_CASE("solve: backward in time is the negated field forward, bit for bit, and undoes it") {
  for (const char* word : {"rk4:20", "dopri5@1e-6", "bosh3@1e-4~pi"}) {
    CAPTURE(word);
    const Problem p = sine_problem();
    const Field negated{
        .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return neg(sin(y)); }};
    const Solution backward = solve(p.field, p.y0, {0, -1.5}, parse_solver(word));
    const Solution mirrored = solve(negated, p.y0, {0, 1.5}, parse_solver(word));
    CHECK(backward.y.values() == mirrored.y.values());
    CHECK(backward.statistics->evaluations == mirrored.statistics->evaluations);
    const Solution there = solve(p.field, p.y0, {0.5, 1.5}, parse_solver(word));
    const Solution back = solve(p.field, there.y, {1.5, 0.5}, parse_solver(word));
    CHECK(largest_difference(back.y, p.y0.values()) < 1e-3);
  }
}

TEST_CASE("solve: nothing to do") {
  int64_t calls = 0;
  const Problem p = cosine_problem();
  const Field f = counting(p.field, calls);
  for (const char* word : {"rk4:4", "dopri5@1e-3"}) {
    for (const std::vector<double>& times :
         std::vector<std::vector<double>>{{2}, {1, 1}, {0, 0, 0}}) {
      const Solution s = solve(f, p.y0, times, parse_solver(word));
      CHECK(s.status == Status::success);
      CHECK(s.times == times);
      CHECK(s.y.id() == p.y0.id());
      CHECK(s.ys.back().id() == p.y0.id());
    }
    CHECK(calls == 0);
    const Tensor none = zeros({0, 3}, Dtype::f64);
    const Solution s = solve(f, none, {0, 0.5, 1}, parse_solver(word));
    CHECK(s.status == Status::success);
    CHECK(s.ys.size() == 3);
    CHECK(s.y.shape() == Shape{0, 3});
  }
}

TEST_CASE("solve: failure is a status with the last good state, the counts and what to try") {
  const Problem p = vanderpol(1000);
  Solver small_budget = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(small_budget.stepping).max_steps = 50;
  const Solution budget = solve(p.field, p.y0, {0, 2000}, small_budget);
  CHECK(budget.status == Status::step_limit);
  CHECK(budget.statistics->accepted + budget.statistics->rejected == 50);
  CHECK(budget.t > 0);
  CHECK(budget.t < 2000);
  CHECK(budget.message.find("the budget of 50 steps ended at t = ") != std::string::npos);
  CHECK(budget.message.find("(from 0 to 2000; ") != std::string::npos);
  CHECK(budget.message.find("stiff") != std::string::npos);
  CHECK(std::string(name(budget.status)) == "step_limit");
  CHECK_THROWS_AS(budget.or_throw(), SolveError);
  CHECK(budget.ys.size() == 1);

  // y' = y^2 blows up at t = 1.
  const Field blow_up{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return square(y); }};
  const Solution pole = solve(blow_up, row({1}), {0, 0.5, 2}, parse_solver("dopri5@1e-6"));
  CHECK(pole.status != Status::success);
  CHECK(pole.t == doctest::Approx(1).epsilon(1e-3));
  CHECK(pole.ys.size() == 2);
  CHECK(pole.times == std::vector<double>{0, 0.5});
  CHECK(std::isfinite(pole.y.item()));

  // A jump, and a tolerance below rounding: every step across it is too long.
  const Field jump{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return expand(sign(1. / 3 - t), y.shape());
  }};
  const Solution stuck = solve(jump, row({0}), {0, 1}, parse_solver("dopri5@1e-19"));
  CHECK(stuck.status == Status::step_size_underflow);
  CHECK(stuck.t == doctest::Approx(1. / 3));
  CHECK(stuck.message.find("step size fell to ") != std::string::npos);
  CHECK(stuck.message.find(" at t = 0.333333, error ") != std::string::npos);
  CHECK(stuck.message.find("The problem may be stiff. Raise rtol (now 1e-19).") !=
        std::string::npos);
}

TEST_CASE("solve: NaN is found, with its place") {
  // sqrt of a negative number from t = 0.5 on.
  const Field edge{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return y * sqrt(0.5 - t);
  }};
  const Solution fixed = solve(edge, row({1}), {0, 0.2, 1}, parse_solver("rk4:10"));
  CHECK(fixed.status == Status::not_finite);
  CHECK(fixed.t == doctest::Approx(0.5));
  CHECK(fixed.times == std::vector<double>{0, 0.2});
  CHECK(std::isfinite(fixed.y.item()));
  CHECK(fixed.message ==
        "solve: the field returned NaN at t = 0.55, stage 2 of the step from t = 0.5 with h = 0.1 "
        "(from "
        "0 to 1; 5 accepted, 0 rejected). Try smaller steps.");
  const Solution adaptive = solve(edge, row({1}), {0, 0.2, 1}, parse_solver("dopri5@1e-3"));
  CHECK(adaptive.status == Status::not_finite);
  CHECK(adaptive.t == doctest::Approx(0.5).epsilon(1e-6));
  CHECK(std::isfinite(adaptive.y.item()));
  CAPTURE(adaptive.message);
  CHECK(adaptive.message.find("the field returned NaN at t = 0.5") != std::string::npos);

  const Problem p = cosine_problem();
  for (const char* word : {"rk4:4", "dopri5@1e-3", "euler:1"}) {
    const Solution bad = solve(p.field, row({NAN}), {0, 1}, parse_solver(word));
    CHECK(bad.status == Status::not_finite);
    CHECK(bad.message.find("the state at t = 0 is not finite") != std::string::npos);
    CHECK(bad.t == 0);
  }
  Solver given_step = parse_solver("dopri5@1e-3");
  std::get<Adaptive>(given_step.stepping).first_step = 0.1;
  const Solution start = solve(edge, row({1}), {0.75, 1}, given_step);
  CHECK(start.status == Status::not_finite);
  CHECK(start.statistics->rejected == 1);  // from a bad slope no step can succeed
}

TEST_CASE("solve: limits of the step size, a given first step, going on from a solution") {
  const Problem p = kepler_problem();
  Solver solver = parse_solver("dopri5@1e-3");
  auto& how = std::get<Adaptive>(solver.stepping);
  how.max_step = 0.05;
  const Solution fine = solve(p.field, p.y0, {0, 3}, solver);
  for (size_t i = 1; i < fine.grid.size(); ++i)
    CHECK(fine.grid[i] - fine.grid[i - 1] < 0.05 + 1e-12);
  how.max_step = 10;
  how.min_step = 0.5;  // accepted whatever the error
  const Solution coarse = solve(p.field, p.y0, {0, 3}, solver);
  CHECK(coarse.status == Status::success);
  CHECK(coarse.statistics->accepted <= 6);
  how.min_step = 0;
  how.rtol = how.atol = 1e-6;
  how.first_step = 1e-3;
  const Solution half = solve(p.field, p.y0, {0, 1.5}, solver);
  CHECK(half.grid[1] == 1e-3);
  CHECK(half.statistics->evaluations ==
        1 + 6 * (half.statistics->accepted + half.statistics->rejected));
  how.first_step = half.next_step;
  const Solution rest = solve(p.field, half.y, {half.t, 3}, solver);
  CHECK(rest.status == Status::success);
  CHECK(largest_difference(rest.y, p.solution(3)) < 1e-4);
  CHECK(rest.statistics->rejected <= 2);
}

TEST_CASE("solve: a recorded grid repeats the solve, bit for bit") {
  const Problem p = lotka_volterra();
  const Solution adaptive = solve(p.field, p.y0, {0, 3, 10}, parse_solver("dopri5@1e-4"));
  const Solution again = solve(p.field, p.y0, {0, 3, 10},
                               {.method = method("dopri5"), .stepping = StepGrid{adaptive.grid}});
  CHECK(again.y.values() == adaptive.y.values());
  CHECK(again.ys[1].values() == adaptive.ys[1].values());
  CHECK(again.statistics->evaluations == 6 * adaptive.statistics->accepted);
}

TEST_CASE("solve: float32 states keep float64 times") {
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    CHECK(t.dtype() == Dtype::f32);
    return y * cos(t);
  }};
  const Tensor y0 = tensor({1.25}, {1, 1}, Dtype::f32);
  for (const char* word : {"rk4:64", "dopri5@1e-5"}) {
    const Solution s = solve(f, y0, {1000, 1002}, parse_solver(word));
    REQUIRE(s.status == Status::success);
    const double exact = 1.25 * std::exp(std::sin(1002.) - std::sin(1000.));
    CHECK(s.y.item() == doctest::Approx(exact).epsilon(2e-3));
    CHECK(s.grid.back() == 1002);
  }
}

TEST_CASE("solve: what is wrong with the arguments is said") {
  const Problem p = cosine_problem();
  const auto message = [&](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const Solver rk4 = parse_solver("rk4:4");
  CHECK(message([&] {
          solve(p.field, p.y0, {0, 1, 0.5}, rk4);
        }) == "solve: times must be finite and rise, or fall, throughout: time 2 is 0.5.");
  CHECK(message([&] { solve(p.field, p.y0, {}, rk4); }) ==
        "solve: there are no times. Pass start and end, {0, 1}.");
  CHECK(message([&] {
          solve(p.field, p.y0, {0, NAN}, rk4);
        }).find("must be finite") != std::string::npos);
  CHECK(message([&] {
          solve(p.field, arange(3), {0, 1}, rk4);
        }) == "solve: y0 (3) int32 must be float32 or float64. Write cast(y0, Dtype::f32).");
  CHECK(message([&] {
          solve({}, p.y0, {0, 1}, rk4);
        }) == "solve: the field has no function. Write Field{.evaluate = ...}.");
  const Field wrong{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    return concatenate({y, y}, 1);
  }};
  CHECK(message([&] {
          solve(wrong, p.y0, {0, 1}, rk4);
        }) ==
        "solve: the field returned (1, 2) float64 for y (1, 1) float64. A field must return the "
        "shape and dtype of y.");
  CHECK(message([&] {
          solve(p.field, p.y0, {0, 1}, {.method = method("rk4"), .stepping = Adaptive{}});
        }).find("rk4 has no error estimate") != std::string::npos);
  CHECK(message([&] {
          solve(p.field, p.y0, {0, 1},
                {.method = method("dopri5"), .stepping = Adaptive{.rtol = -1}});
        }).find("tolerances must be positive") != std::string::npos);
}

TEST_CASE("solve: one host read for each adaptive attempt, one for all fixed steps") {
  const Problem p = kepler_problem();
  for (StepPlans* plans : {static_cast<StepPlans*>(nullptr), new StepPlans}) {
    const std::unique_ptr<StepPlans> owner(plans);
    for (int warm_up = 0; warm_up < 4; ++warm_up) {  // debug builds check the first replays
      solve(p.field, p.y0, {0, 3}, parse_solver("rk4:10"), {.plans = plans});
      solve(p.field, p.y0, {0, 3}, parse_solver("dopri5@1e-6"), {.plans = plans});
    }
    ReadCounter counter;
    solve(p.field, p.y0, {0, 3}, parse_solver("rk4:10"), {.plans = plans});
    CHECK(counter.reads == 1);
    counter.reads = 0;
    const Solution s = solve(p.field, p.y0, {0, 3}, parse_solver("dopri5@1e-6"), {.plans = plans});
    CHECK(counter.reads == s.statistics->accepted + s.statistics->rejected + 3);
  }
}
