// The built-in problems: fields, formulas and tables agree, in both dtypes and for any batch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/problems/outlook.h"
#include "apps/problems/problem.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "ode/methods.h"
#include "ode/solve.h"
#include "ode/solver_word.h"

using namespace slope;
using namespace slope::problems;

namespace {

std::vector<Problem> every_problem(Dtype dtype = Dtype::f64) {
  std::vector<Problem> all;
  for (const ProblemEntry& entry : problem_list()) all.push_back(make_problem(entry.name, dtype));
  return all;
}

Tensor solved(const Problem& p, const Tensor& y0, double end, const char* word) {
  ode::StepPlans plans;
  const ode::Solver solver = ode::parse_solver(word);
  if (p.events.empty())
    return ode::solve(p.field, y0, {0, end}, solver, {.plans = &plans}).or_throw().y;
  std::vector<ode::Event> events;
  for (const Problem::Happening& h : p.events) events.push_back(h.event);
  return ode::solve_events(p.field, y0, {0, end}, solver, events, {.plans = &plans})
      .solution.or_throw()
      .y;
}

double largest(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b.at(i)));
  return most;
}

}  // namespace

TEST_CASE("problems: the solver's answer is the formula's or the table's") {
  for (const Problem& p : every_problem()) {
    CAPTURE(p.name);
    const double end = p.stiff ? 0.4 : p.end;
    const std::vector<double> expected = known_solution(p, end);
    REQUIRE(expected.size() == static_cast<size_t>(p.y0.dim(1)));
    CHECK(p.components.size() == expected.size());
    const double size = *std::max_element(expected.begin(), expected.end()) + 1;
    CHECK(largest(solved(p, p.y0, end, "dopri8@1e-12").values(), expected) < 2e-10 * size);
    // A formula holds at every time, and begins where the problem does.
    if (!p.solution) continue;
    CHECK(largest(p.y0.values(), p.solution(0)) < 1e-15);
    const double middle = 0.37 * p.end;
    CHECK(largest(solved(p, p.y0, middle, "dopri8@1e-12").values(), p.solution(middle)) <
          2e-10 * size);
  }
}

TEST_CASE("problems: stiff references against what others published") {
  // Hairer and Wanner's test set has this problem in a time of its own: t / mu = 2.
  const auto vanderpol = known_solution(make_problem("vanderpol,mu=1000"), 2000);
  REQUIRE(vanderpol.size() == 2);
  CHECK(vanderpol[0] == doctest::Approx(1.706167732170469).epsilon(1e-11));
  CHECK(vanderpol[1] * 1000 == doctest::Approx(-0.8928097010248).epsilon(1e-11));
  const Problem robertson = make_problem("robertson");
  REQUIRE(!known_solution(robertson, 1e5).empty());
  for (const Problem::Reference& r : robertson.references)
    CHECK(std::abs(r.state[0] + r.state[1] + r.state[2] - 1) < 1e-14);  // nothing is lost
  // At t = 40 in the literature: 0.7158, 9.185e-6, 0.2842.
  CHECK(known_solution(robertson, 40)[0] == doctest::Approx(0.7158).epsilon(1e-4));
  CHECK(known_solution(robertson, 40)[1] == doctest::Approx(9.185e-6).epsilon(1e-4));
}

TEST_CASE("problems: any number of samples, float32 as well") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Problem& p : every_problem(dtype)) {
      CAPTURE(p.name);
      const Tensor y = p.y0 + 0.25, three = concatenate({p.y0, y, y * 1.5}, 0);
      const Tensor t = scalar(0.5, dtype);
      const Tensor together = p.field(t, three);
      CHECK(together.dtype() == dtype);
      // With times of their own as well.
      const Tensor apart = p.field(tensor({0.5, 0.5, 0.5}, {3, 1}, dtype), three);
      for (int64_t i = 0; i < 3; ++i) {
        const std::vector<double> alone = p.field(t, slice(three, 0, i, i + 1)).values();
        CHECK(slice(together, 0, i, i + 1).values() == alone);
        CHECK(slice(apart, 0, i, i + 1).values() == alone);
      }
    }
  }
}

TEST_CASE("problems: DETEST as it was published") {
  CHECK(make_problems("detest").size() == 25);
  CHECK(make_problems("detest").front().name == "detest-a1");
  CHECK(make_problems("detest").back().name == "detest-e5");
  // Entries that other collections have wrong: the last diagonal entry of C3 and C4 (defect D3),
  const Problem c3 = make_problem("detest-c3"), c4 = make_problem("detest-c4");
  const Tensor t = scalar(0, Dtype::f64);
  CHECK(c3.field(t, tensor({0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, {1, 10}, Dtype::f64)).values() ==
        std::vector<double>{0, 0, 0, 0, 0, 0, 0, 0, 1, -2});
  std::vector<double> last(51, 0.0);
  last[50] = 1;
  CHECK(c4.field(t, tensor(last, {1, 51}, Dtype::f64)).values()[50] == -2);
  // 0.032 in E4, and C5's Neptune and its indirect terms (defect T6).
  CHECK(make_problem("detest-e4").field(t, tensor({30, 0}, {1, 2}, Dtype::f64)).values()[1] ==
        0.032);
  const Problem c5 = make_problem("detest-c5");
  CHECK(c5.y0.values()[10] == 1.65699966404);
  const std::vector<double> slope = c5.field(t, c5.y0).values();
  // Pluto has no mass to speak of: k2 (-(m0 + m5) r5/|r5|^3 + the pull of the four others).
  const double masses[] = {0.000954786104043, 0.000285583733151, 0.0000437273164546,
                           0.0000517759138449, 0.00000277777777778};
  const std::vector<double> y = c5.y0.values();
  const auto cube = [](double a, double b, double c) {
    return std::pow(a * a + b * b + c * c, 1.5);
  };
  for (size_t axis = 0; axis < 3; ++axis) {
    double pull = -(1.00000597682 + masses[4]) * y[12 + axis] / cube(y[12], y[13], y[14]);
    for (size_t k = 0; k < 4; ++k) {
      const double* r = &y[3 * k];
      pull +=
          masses[k] * ((r[axis] - y[12 + axis]) / cube(r[0] - y[12], r[1] - y[13], r[2] - y[14]) -
                       r[axis] / cube(r[0], r[1], r[2]));
    }
    CHECK(slope[27 + axis] == doctest::Approx(2.95912208286 * pull).epsilon(1e-13));
  }
}

TEST_CASE("problems: words") {
  CHECK(make_problem("kepler").name == "kepler,e=0.3");
  CHECK(make_problem("kepler,e=1/2").name == "kepler,e=0.5");
  CHECK(make_problem("vanderpol,mu=1000").end == 2000);
  const auto message = [](const char* word) -> std::string {
    try {
      make_problems(word);
    } catch (const ValueError& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message("keppler") ==
        "problem: there is no problem keppler. Did you mean kepler? All of them: slope info "
        "problems.");
  CHECK(message("detest-f1").find("no problem detest-f1. Did you mean detest-") !=
        std::string::npos);
  CHECK(message("kepler,e=1") ==
        "problem: e of kepler must be a number from 0 to below 0.999, got 1.");
  CHECK(message("vanderpol,mu=-1") ==
        "problem: mu of vanderpol must be a number of 0 or more, got -1.");
  CHECK(message("kepler,a=1") == "problem: kepler has no option a; it has e=0.3.");
  CHECK(message("sine,a=1") == "problem: sine has no option a; it has none.");
}

TEST_CASE("outlook: the evaluations of every method, before they are taken") {
  const ProblemTask task{.outputs = {1, 2}};
  for (const ode::Method& m : ode::all_methods()) {
    const Problem p = make_problem(m.facts().separable ? "pendulum" : "cosine");
    std::vector<std::string> words = {":1", ":3", ":8", ":40", ":h=0.3"};
    if (m.facts().adaptive) words = {"@1e-2", "@1e-5", ":1", ":30"};
    for (const std::string& steps : words) {
      CAPTURE(m.name());
      CAPTURE(steps);
      const Outlook before = outlook(p, ode::parse_solver(m.name() + steps), task);
      const ode::Solution s = solve_problem(p, m.name() + steps, task, {}).solution;
      const ode::Statistics& n = *s.statistics;
      CHECK(s.status == ode::Status::success);
      if (before.steps > 0) CHECK(static_cast<int64_t>(before.steps) == n.accepted);
      CHECK(before.at_least == !m->replayable());
      if (before.at_least)
        CHECK(before.evaluations(n.accepted, n.rejected) <= n.evaluations);
      else
        CHECK(before.evaluations(n.accepted, n.rejected) == n.evaluations);
    }
  }
}
