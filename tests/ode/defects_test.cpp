// Defects that published libraries have shipped, each with the test that would have caught it.
// docs/ode-defects.md lists all of them; those that no other file tests are here.
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "autograd/tape.h"
#include "core/plan.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/order_conditions.h"
#include "ode/solver_word.h"
#include "ode/step.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

double error_at_end(const Method& m, const Problem& p, int64_t steps) {
  const Solution s = solve(p.field, p.y0, {0, p.end}, {.method = m, .stepping = Steps{steps}});
  return largest_difference(s.or_throw().y, p.solution(p.end));
}

std::vector<double> slope_at(const std::string& problem, const std::vector<double>& y) {
  const Problem p = problems::make_problem(problem);
  return p.field(scalar(0, Dtype::f64), row(y)).values();
}

}  // namespace

TEST_CASE("tsit5 (T1): goes on from the result of order 5, not from the embedded one") {
  const Tableau m = tableau("tsit5");
  Tableau swapped = m;
  for (size_t i = 0; i < m.b.size(); ++i) swapped.b[i] -= m.b_error[i];
  CHECK(proven_order(m, m.b) == 5);
  CHECK(proven_order(swapped, swapped.b) == 4);
  // The last stage is f at the point that is carried on; with the other weights it would not be.
  CHECK(m.fsal());
  CHECK(!swapped.fsal());
  // And it shows where time matters.
  const Problem p = cosine_problem();
  CHECK(std::log2(error_at_end(m, p, 32) / error_at_end(m, p, 64)) > 4.8);
  CHECK(std::log2(error_at_end(swapped, p, 128) / error_at_end(swapped, p, 256)) < 4.5);
}

TEST_CASE("adaptive steps (T3): a slope is handed on only where it is f at the new point") {
  const Problem p = cosine_problem();
  for (const char* word : {"heun2@1e-4", "fehlberg2@1e-4", "dopri5@1e-6", "bosh3@1e-5",
                           "cash-karp@1e-6", "fehlberg45@1e-6"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const MethodFacts& facts = solver.method.facts();
    const Solution s = solve(p.field, p.y0, {0, 2}, solver);
    // Fixed steps evaluate every first slope themselves: the same bits.
    const Solution fresh =
        solve(p.field, p.y0, {0, 2}, {.method = solver.method, .stepping = StepGrid{s.grid}});
    CHECK(s.y.values() == fresh.y.values());
    // The two of the first step's choice, all stages but the first in each attempt, and the first
    // of each step but the first, unless the step before has it.
    const int64_t attempts = s.statistics->accepted + s.statistics->rejected;
    const int64_t first_slopes = facts.fsal ? 0 : s.statistics->accepted - 1;
    CHECK(s.statistics->evaluations == 2 + attempts * (facts.stages - 1) + first_slopes);
  }
  CHECK(!method("heun2").facts().fsal);
  CHECK(!method("fehlberg2").facts().fsal);
}

TEST_CASE("DETEST (T6): C5 and E4 as published, term by term") {
  CHECK(slope_at("detest-e4", {30, 0}) == std::vector<double>{0, 0.032});
  CHECK(slope_at("detest-e4", {30, 0.2})[1] == doctest::Approx(0.032 - 0.4 * 0.04).epsilon(1e-14));

  const std::vector<double> y = problems::make_problem("detest-c5").y0.values();
  REQUIRE(y.size() == 30);
  CHECK(y[10] == 1.65699966404);
  const double k2 = 2.95912208286, sun = 1.00000597682;
  const std::array<double, 5> mass = {0.000954786104043, 0.000285583733151, 0.0000437273164546,
                                      0.0000517759138449, 0.00000277777777778};
  using Vector = std::array<double, 3>;
  const auto position = [&](size_t j) { return Vector{y[3 * j], y[3 * j + 1], y[3 * j + 2]}; };
  const auto cubed = [](const Vector& v) {
    return std::pow(v[0] * v[0] + v[1] * v[1] + v[2] * v[2], 1.5);
  };
  const std::vector<double> found = slope_at("detest-c5", y);
  for (size_t j = 0; j < 5; ++j) {
    const Vector r = position(j);
    for (size_t axis = 0; axis < 3; ++axis) {
      double pull = -(sun + mass[j]) * r[axis] / cubed(r);
      for (size_t k = 0; k < 5; ++k) {
        if (k == j) continue;
        const Vector other = position(k);
        const Vector d = {other[0] - r[0], other[1] - r[1], other[2] - r[2]};
        pull += mass[k] * (d[axis] / cubed(d) - other[axis] / cubed(other));
      }
      CHECK(found[3 * j + axis] == y[15 + 3 * j + axis]);
      CHECK(found[15 + 3 * j + axis] == doctest::Approx(k2 * pull).epsilon(1e-12));
    }
  }
}

TEST_CASE("DETEST (D3): the matrix of C3 and C4 has -2 in its last row too") {
  for (const auto& [problem, size] : {std::pair("detest-c3", 10), std::pair("detest-c4", 51)}) {
    std::vector<double> last(static_cast<size_t>(size), 0.0), expected = last;
    last.back() = 1;
    expected.back() = -2;
    expected[expected.size() - 2] = 1;
    CHECK(slope_at(problem, last) == expected);
  }
}

TEST_CASE("solve (T7): the budget of steps is that of the whole solve, however many outputs") {
  const Problem p = cosine_problem();
  Solver solver = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(solver.stepping).max_steps = 5;
  std::vector<double> times;
  for (int i = 0; i <= 100; ++i) times.push_back(0.02 * i);
  const Solution s = solve(p.field, p.y0, times, solver);
  CHECK(s.status == Status::step_limit);
  CHECK(s.statistics->accepted + s.statistics->rejected == 5);
  CHECK(s.ys.size() <= 6);
}

TEST_CASE("error estimates (N2): of the size of h, and none where a method has none") {
  // Of y' = 1 + t, whose error over a step of Heun's method from its Euler result is h^2 / 2.
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return y * 0.0 + (1.0 + t);
  }};
  const Tableau heun = tableau("heun2");
  for (double h : {0.5, 0.05}) {
    const Tensor clock = tensor(step_times(heun, 0, h), {3}, Dtype::f64);
    const Step made = rk_step(heun, f, read_clock(clock), row({0}));
    CHECK(std::abs(rk_error(heun, scalar(h, Dtype::f64), made.slopes).item()) ==
          doctest::Approx(h * h / 2).epsilon(1e-13));
  }
  CHECK(!method("alf").facts().has_error());
  CHECK_THROWS_AS(parse_solver("alf@1e-3"), ValueError);
}

TEST_CASE("gradient (N2): of an unused parameter, zeros of its own shape, in every mode") {
  const Tensor unused = ones({3, 1, 2}, Dtype::f64), y0 = row({1.25});
  Field f = cosine_problem().field;
  f.context.push_back(unused);
  f.evaluate = [g = cosine_problem().field](const Tensor& t, const Tensor& y, const Tensors&) {
    return g(t, y);
  };
  for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::reversible,
                        Gradient::adjoint, Gradient::adjoint_seminorm}) {
    Tape tape({y0, unused});
    const Solution s = solve_differentiable(f, y0, {0, 1}, parse_solver("reversible-heun:4"), mode);
    const Tensor d = tape.gradient(sum(s.y), {unused})[0];
    CHECK(d.shape() == unused.shape());
    CHECK(d.values() == std::vector<double>(6, 0.0));
  }
}
