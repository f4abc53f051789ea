// The step sizes of an adaptive solve, without a tensor: what is tried after which error.
#include "ode/step_control.h"

#include <doctest/doctest.h>

#include <cmath>

#include "ode/jumps.h"

using namespace slope;
using namespace slope::ode;

namespace {

StepControl control_of(const Adaptive& how, const std::vector<double>& times,
                       const std::vector<double>& jumps = {}) {
  StepControl control(how, 5, times, jumps);
  if (how.first_step == 0) control.set_step(0.1);
  return control;
}

}  // namespace

TEST_CASE("step control: accepted and rejected steps") {
  StepControl c = control_of({}, {0, 1});
  CHECK(c.obstacle() == Status::success);
  CHECK(c.propose() == 0.1);
  CHECK(!c.judge(3));
  CHECK(c.t() == 0);
  CHECK(c.rejected() == 1);
  CHECK(c.step() < 0.1);
  CHECK(c.step() >= 0.02);
  const double tried = c.propose();
  CHECK(c.tried() == tried);
  CHECK(c.judge(1));  // exactly the tolerance
  CHECK(c.t() == tried);
  const double h = c.step();
  c.propose();
  CHECK(c.judge(0));  // no error at all: ten times the step at most
  CHECK(c.step() == doctest::Approx(10 * h));
  for (double bad : {HUGE_VAL, static_cast<double>(NAN)}) {
    const double before = c.step();
    c.propose();
    const double used = c.tried();
    CHECK(!c.judge(bad));
    CHECK(c.step() == doctest::Approx(0.2 * used));
    CHECK(c.step() < before);
  }
}

TEST_CASE("step control: stops are hit to the bit, in both directions") {
  const double third = 1. / 3;
  Adaptive how;
  how.step_times = {third, 5, -7, 0.7};
  for (double sign : {1., -1.}) {
    Adaptive mirrored = how;
    for (double& t : mirrored.step_times) t *= sign;
    StepControl c = control_of(mirrored, {0, sign * 0.5, sign * 0.5, sign}, {sign * 0.9});
    std::vector<double> ends;
    while (!c.done()) {
      REQUIRE(c.obstacle() == Status::success);
      ends.push_back(c.propose());
      REQUIRE(c.judge(0.5));
      CHECK(c.at_jump() == (ends.back() == sign * 0.9));
    }
    for (double stop : {third, 0.5, 0.7, 0.9, 1.}) {
      CHECK(std::count(ends.begin(), ends.end(), sign * stop) == 1);
    }
    CHECK(c.accepted() == static_cast<int64_t>(ends.size()));
  }
}

TEST_CASE("step control: a cut step does not shrink those after it, a jump forgets the history") {
  Adaptive how;
  how.controller = kPiController;
  StepControl c = control_of(how, {0, 1e-3, 1}, {0.5});
  c.propose();
  CHECK(c.tried() == 1e-3);
  REQUIRE(c.judge(0.9));
  CHECK(c.step() >= 0.1);
  CHECK(c.history().last == 1 / 0.9);
  while (c.t() != 0.5) {
    c.propose();
    c.judge(0.9);
  }
  CHECK(c.history().last == 1);
}

TEST_CASE("step control: budget (T7), underflow, limits") {
  Adaptive how;
  how.max_steps = 3;
  // Output times do not start the count afresh.
  StepControl c = control_of(how, {0, 0.01, 0.02, 0.03, 1});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(c.obstacle() == Status::success);
    c.propose();
    REQUIRE(c.judge(0.5));
  }
  CHECK(c.t() == 0.03);
  CHECK(c.obstacle() == Status::step_limit);
  CHECK(c.message("solve: ", "", "Raise max_steps.") ==
        "solve: the budget of 3 steps ended at t = 0.03 (from 0 to 1; 3 accepted, 0 rejected). "
        "Raise max_steps.");
  CHECK(c.lately({0, 0.01, 0.02, 0.03}) == doctest::Approx(0.01));

  StepControl stuck = control_of({}, {0, 1});
  int attempts = 0;
  while (stuck.obstacle() == Status::success) {
    stuck.propose();
    stuck.judge(1e9);
    REQUIRE(++attempts < 100);
  }
  CHECK(stuck.obstacle() == Status::step_size_underflow);
  CHECK(stuck.message("solve: ", "", "").find("solve: step size fell to ") == 0);

  Adaptive limited;
  limited.min_step = 0.05;
  limited.max_step = 0.2;
  StepControl within = control_of(limited, {0, 1});
  within.set_step(1);
  REQUIRE(within.obstacle() == Status::success);
  within.propose();
  CHECK(within.tried() == 0.2);
  while (!within.judge(100)) {  // until it is as small as it may get
    REQUIRE(within.obstacle() == Status::success);
    within.propose();
  }
  CHECK(within.tried() == 0.05);
  // Also where t + h - t is more than h by rounding.
  Adaptive rounded;
  rounded.min_step = 0.1;
  StepControl at_least = control_of(rounded, {0.2, 1});
  REQUIRE(at_least.obstacle() == Status::success);
  CHECK(at_least.propose() - 0.2 > 0.1);
  CHECK(at_least.judge(100));
  CHECK(!within.judge(NAN));
  within.set_step(NAN);
  CHECK(within.obstacle() == Status::not_finite);
}

TEST_CASE("step control: resumed from its step and history it goes on to the bit") {
  Adaptive how;
  how.controller = {.proportional = 0.3, .integral = 0.3, .derivative = 0.1};
  const auto error = [](double t, double h) {
    return std::pow(h / 0.07, 5) * (1 + 0.8 * std::sin(20 * t));
  };
  StepControl whole = control_of(how, {0, 0.4, 2}), first = control_of(how, {0, 0.4});
  const auto run = [&](StepControl& c, std::vector<double>& ends) {
    while (!c.done()) {
      const double t1 = c.propose();
      if (c.judge(error(t1, c.tried()))) ends.push_back(t1);
    }
  };
  std::vector<double> once, twice;
  run(whole, once);
  run(first, twice);
  StepControl second = control_of(how, {0.4, 2});
  second.set_step(first.step());
  second.set_history(first.history());
  run(second, twice);
  CHECK(once == twice);
}

TEST_CASE("jumps: the stages see their own side, to the neighbouring float") {
  const double before = std::nextafter(0.5, 0), after = std::nextafter(0.5, 1);
  const auto sides = [](double t, double t1, Dtype dtype) {
    std::vector<double> clock = {t1 - t, t, t + 0.5 * (t1 - t), t1};
    take_sides({0.5, 1000}, t, t1, dtype, clock);
    return clock;
  };
  CHECK(sides(0.25, 0.5, Dtype::f64) == std::vector<double>{0.25, 0.25, 0.375, before});
  CHECK(sides(0.5, 0.75, Dtype::f64) == std::vector<double>{0.25, after, 0.625, 0.75});
  CHECK(sides(0.75, 0.5, Dtype::f64) == std::vector<double>{-0.25, 0.75, 0.625, after});
  CHECK(sides(0.5, 0.25, Dtype::f64) == std::vector<double>{-0.25, before, 0.375, 0.25});
  CHECK(sides(0.25, 0.375, Dtype::f64) == std::vector<double>{0.125, 0.25, 0.3125, 0.375});
  CHECK(sides(999, 1000, Dtype::f32)[3] == std::nextafterf(1000.f, 0.f));
  CHECK(sides(1000, 1001, Dtype::f32)[1] == std::nextafterf(1000.f, 2000.f));
  CHECK(start_time({0.5}, 0.5, 1, Dtype::f64) == after);
  CHECK(start_time({0.5}, 0.5, -1, Dtype::f64) == before);
  CHECK(start_time({0.5}, 0.25, 1, Dtype::f64) == 0.25);
}
