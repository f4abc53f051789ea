// The 25 problems of DETEST against a table that other code has made: the initial step, the error
// norm and the controller are those of torchdiffeq, number for number.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>

#include "ode/initial_step.h"
#include "ode/methods.h"
#include "ode/order_conditions.h"
#include "ode/step.h"
#include "ode/stepper.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

struct Counts {
  int64_t evaluations, accepted, rejected;
};
struct Line {
  const char* problem;
  std::array<Counts, 3> at;  // tolerances 1e-3, 1e-6, 1e-9
};

// dopri5 with Shampine's error row, the I controller, steps that go past t = 20.
const Line kGolden[] = {
    {"a1", {{{68, 10, 1}, {152, 25, 0}, {494, 82, 0}}}},
    {"a2", {{{44, 7, 0}, {92, 15, 0}, {278, 46, 0}}}},
    {"a3", {{{140, 18, 5}, {464, 57, 20}, {1490, 203, 45}}}},
    {"a4", {{{32, 5, 0}, {86, 13, 1}, {302, 45, 5}}}},
    {"a5", {{{32, 5, 0}, {86, 12, 2}, {260, 40, 3}}}},
    {"b1", {{{320, 36, 17}, {836, 107, 32}, {2726, 404, 50}}}},
    {"b2", {{{158, 22, 4}, {224, 34, 3}, {566, 94, 0}}}},
    {"b3", {{{86, 11, 3}, {164, 27, 0}, {536, 89, 0}}}},
    {"b4", {{{176, 22, 7}, {542, 80, 10}, {1988, 316, 15}}}},
    {"b5", {{{152, 19, 6}, {458, 61, 15}, {1466, 224, 20}}}},
    {"c1", {{{86, 13, 1}, {194, 32, 0}, {668, 111, 0}}}},
    {"c2", {{{422, 57, 13}, {440, 62, 11}, {746, 119, 5}}}},
    {"c3", {{{194, 26, 6}, {242, 36, 4}, {548, 91, 0}}}},
    {"c4", {{{194, 26, 6}, {236, 34, 5}, {470, 78, 0}}}},
    {"c5", {{{44, 5, 2}, {74, 11, 1}, {242, 38, 2}}}},
    {"d1", {{{284, 32, 15}, {428, 65, 6}, {1592, 256, 9}}}},
    {"d2", {{{236, 27, 12}, {548, 73, 18}, {1784, 275, 22}}}},
    {"d3", {{{248, 30, 11}, {692, 88, 27}, {2192, 326, 39}}}},
    {"d4", {{{338, 36, 20}, {872, 109, 36}, {2816, 405, 64}}}},
    {"d5", {{{554, 56, 36}, {1268, 154, 57}, {3950, 558, 100}}}},
    {"e1", {{{92, 15, 0}, {332, 54, 1}, {1304, 214, 3}}}},
    {"e2", {{{404, 44, 23}, {1118, 133, 53}, {3392, 481, 84}}}},
    {"e3", {{{218, 29, 7}, {770, 103, 25}, {2642, 387, 53}}}},
    {"e4", {{{50, 5, 3}, {74, 9, 3}, {188, 28, 3}}}},
    {"e5", {{{86, 10, 4}, {128, 14, 7}, {290, 39, 9}}}},
};

struct Overstepped {
  Counts counts;
  double error;  // of the state at the end, interpolated
};

// What slope itself never does: the last step goes past the end, where the state is interpolated.
Overstepped solve_past_the_end(const Problem& p, double tolerance) {
  const Method method = ode::method("dopri5");
  const ErrorNormOptions norm{.atol = tolerance, .rtol = tolerance};
  Statistics count;
  StepPlans plans;
  const SolveOptions options{.plans = &plans};
  Stepper step(method, p.field, p.y0, norm, options, count);
  Controller controller({}, method.facts().order);

  double t = 0;
  Tensor y = p.y0, k = step.kept(step.slope(t, y));
  double h = initial_step(step, t, y, k, 1, norm, method.facts().order);
  while (true) {
    const std::vector<double> before = {t};
    const Stepper::Attempt attempt = step.attempt(before, t + h, {y}, k);
    const double next = h * controller.factor(attempt.error);
    if (!Controller::accept(attempt.error)) {
      ++count.rejected;
      h = next;
      continue;
    }
    ++count.accepted;
    if (t + h >= p.end) break;
    y = step.kept(attempt.fresh[0]);
    k = step.kept(attempt.k_last);
    t += h;
    h = next;
  }

  const Tableau& m = *method->tableau();
  const Tensor clock = tensor(step_times(m, t, t + h), {1 + m.stages()}, Dtype::f64);
  const Step last = rk_step(m, p.field, read_clock(clock), y, k);
  const Tensor end =
      rk_combine(y, scalar(h, Dtype::f64), last.slopes, dense_weights(m, (p.end - t) / h));
  return {{count.evaluations, count.accepted, count.rejected},
          largest_difference(end, problems::known_solution(p, p.end))};
}

}  // namespace

TEST_CASE("DETEST: evaluations, accepted and rejected steps of the golden table") {
  const double tolerances[] = {1e-3, 1e-6, 1e-9};
  const int64_t sums[] = {4658, 10520, 32930};
  for (size_t i = 0; i < 3; ++i) {
    int64_t sum = 0;
    for (const Line& line : kGolden) {
      CAPTURE(line.problem);
      CAPTURE(tolerances[i]);
      const Problem p = problems::make_problem(std::string("detest-") + line.problem);
      const auto [found, error] = solve_past_the_end(p, tolerances[i]);
      // One attempt more or less: an error near 1 may fall on either side.
      CHECK(std::abs(found.evaluations - line.at[i].evaluations) <= 6);
      CHECK(std::abs(found.accepted - line.at[i].accepted) <= 1);
      CHECK(std::abs(found.rejected - line.at[i].rejected) <= 1);
      sum += found.evaluations;
      if (i == 2) CHECK(error < 2e-6);
    }
    CHECK(std::abs(sum - sums[i]) <= sums[i] / 200);
  }
}
