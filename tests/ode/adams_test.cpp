// Adams methods by their own algebra: weights, polynomials, irregular steps, work.
#include "ode/adams.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "ode/adams_weights.h"
#include "ode/methods.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

void check_weights(const std::vector<double>& nodes, const std::vector<double>& expected) {
  const std::vector<double> got = adams_weights(nodes);
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-14));
}

// Steps of very different sizes from 0 to end, each of them halved so many times.
std::vector<double> irregular_grid(double end, int steps, int halvings = 0) {
  std::vector<double> grid = {0};
  for (int n = 0; n < steps; ++n) grid.push_back(grid.back() + 1 + 0.8 * std::sin(1.7 * n));
  const double scale = end / grid.back();
  for (double& t : grid) t *= scale;
  grid.back() = end;
  for (int i = 0; i < halvings; ++i) {
    std::vector<double> finer = {0};
    for (size_t n = 1; n < grid.size(); ++n) {
      finer.push_back(0.5 * (grid[n - 1] + grid[n]));
      finer.push_back(grid[n]);
    }
    grid = finer;
  }
  return grid;
}

double error_on(const char* word, const Problem& p, int halvings) {
  const Solver solver{.method = parse_solver(word).method,
                      .stepping = StepGrid{irregular_grid(p.end, 40, halvings)}};
  return largest_difference(solve(p.field, p.y0, {0, p.end}, solver).or_throw().y,
                            p.solution(p.end));
}

}  // namespace

TEST_CASE("adams: the weights of equal steps are the published ones") {
  // Hairer, Norsett, Wanner, tables III.1.1 and III.1.2.
  check_weights({0}, {1});
  check_weights({0, -1}, {3. / 2, -1. / 2});
  check_weights({0, -1, -2}, {23. / 12, -16. / 12, 5. / 12});
  check_weights({0, -1, -2, -3}, {55. / 24, -59. / 24, 37. / 24, -9. / 24});
  check_weights({1, 0}, {1. / 2, 1. / 2});
  check_weights({1, 0, -1}, {5. / 12, 8. / 12, -1. / 12});
  check_weights({1, 0, -1, -2}, {9. / 24, 19. / 24, -5. / 24, 1. / 24});
  check_weights({0, -1, -2, -3, -4},
                {1901. / 720, -2774. / 720, 2616. / 720, -1274. / 720, 251. / 720});
}

TEST_CASE("adams: on irregular nodes the weights integrate polynomials exactly") {
  for (const std::vector<double>& nodes : std::vector<std::vector<double>>{
           {0, -0.3, -1.7, -2.1}, {1, 0, -0.8, -0.9}, {0, -2, -2.5, -3.5, -4, -6}}) {
    const std::vector<double> w = adams_weights(nodes);
    for (size_t power = 0; power < nodes.size(); ++power) {
      double sum = 0;
      for (size_t j = 0; j < nodes.size(); ++j) {
        sum += w[j] * std::pow(nodes[j], static_cast<double>(power));
      }
      CHECK(std::abs(sum - 1. / static_cast<double>(power + 1)) < 1e-12);
    }
  }
}

TEST_CASE("adams: a method of order k is exact for solutions that are polynomials of degree k") {
  for (const char* kind : {"explicit_adams", "implicit_adams"}) {
    for (int order = 2; order <= kMaxAdamsOrder; ++order) {
      const Field f{.evaluate = [order](const Tensor& t, const Tensor& y, const Tensors&) {
        return y * 0.0 + order * pow(t, order - 1);
      }};
      const Solver solver{.method = method(kind, {{"order", order}}),
                          .stepping = StepGrid{irregular_grid(2, 17)}};
      const Solution s = solve(f, row({0}), {0, 2}, solver);
      CHECK(std::abs(s.y.item() - std::pow(2, order)) < 1e-11);
    }
  }
}

TEST_CASE("adams: irregular steps and a clipped last step keep the order" *
          doctest::test_suite("long")) {
  for (const Problem& p : {cosine_problem(), kepler_problem()}) {
    for (const auto& [word, order] :
         std::vector<std::pair<const char*, int>>{{"explicit_adams,order=2", 2},
                                                  {"explicit_adams,order=3", 3},
                                                  {"explicit_adams", 4},
                                                  {"implicit_adams,order=3", 3},
                                                  {"implicit_adams", 4},
                                                  {"implicit_adams,order=5", 5}}) {
      const double measured = std::log2(error_on(word, p, 4) / error_on(word, p, 5));
      CHECK_MESSAGE(measured > order - 0.2, word << " on " << p.name << ": " << measured);
    }
  }
  // 2 / 0.03 is no whole number.
  const Problem p = cosine_problem();
  const auto error = [&](const char* word) {
    return largest_difference(solve(p.field, p.y0, {0, 2}, parse_solver(word)).y, p.solution(2));
  };
  CHECK(std::log2(error("explicit_adams:h=0.03") / error("explicit_adams:h=0.015")) > 3.8);
}

TEST_CASE("adams: one evaluation per step, two with the corrector, after the start") {
  const Problem p = cosine_problem();
  const auto evaluations = [&](const char* word) {
    return solve(p.field, p.y0, {0, 2}, parse_solver(word)).statistics->evaluations;
  };
  CHECK(evaluations("explicit_adams:20") == 3 * 6 + 17);  // three steps of dopri5
  CHECK(evaluations("explicit_adams,order=2:20") == 2 + 19);
  CHECK(evaluations("explicit_adams,order=1:20") == 20);
  CHECK(evaluations("implicit_adams:20") == 3 * 6 + 2 * 17);
}

TEST_CASE("adams: chooses its steps") {
  for (const Problem& p : order_problems()) {
    for (const char* word : {"implicit_adams@1e-6", "implicit_adams,order=6@1e-8"}) {
      const Solver solver = parse_solver(word);
      const Solution s = solve(p.field, p.y0, {0, p.end}, solver);
      REQUIRE(s.status == Status::success);
      const double error = largest_difference(s.y, p.solution(p.end));
      CHECK_MESSAGE(error < 100 * std::get<Adaptive>(solver.stepping).rtol,
                    word << " on " << p.name << ": " << error);
    }
  }
  // Backwards in time, over several outputs, and its steps repeated.
  const Problem p = cosine_problem();
  const Solver solver = parse_solver("implicit_adams@1e-8");
  const Solution back = solve(p.field, row(p.solution(2)), {2, 1.3, 0}, solver);
  CHECK(largest_difference(back.y, p.y0.values()) < 1e-6);
  CHECK(largest_difference(back.ys[1], p.solution(1.3)) < 1e-6);
  const Solution again = solve(p.field, row(p.solution(2)), {2, 1.3, 0},
                               {.method = solver.method, .stepping = StepGrid{back.grid}});
  CHECK(again.y.values() == back.y.values());
}

TEST_CASE("adams: names, orders and what is refused") {
  CHECK(method("explicit_adams").name() == "explicit_adams");
  CHECK(method("explicit-adams", {{"order", 3}}).name() == "explicit_adams,order=3");
  CHECK(method("adams-moulton").name() == "implicit_adams");
  CHECK(solver_word(parse_solver("implicit_adams,order=5@1e-6")) == "implicit_adams,order=5@1e-6");
  const MethodFacts m = method("implicit_adams").facts();
  CHECK((m.multistep && m.implicit && m.order == 4 && m.embedded_order == 3));
  for (double order : {0., 7., 2.5}) {
    CHECK_THROWS_AS(method("explicit_adams", {{"order", order}}), ValueError);
  }
  CHECK_THROWS_AS(method("implicit_adams", {{"order", 1}}), ValueError);
  CHECK_THROWS_WITH_AS(method("explicit_adams", {{"eta", 1}}),
                       "solver: explicit_adams takes order; got eta.", ValueError);
  CHECK_THROWS_AS(parse_solver("explicit_adams@1e-3"), ValueError);
}
