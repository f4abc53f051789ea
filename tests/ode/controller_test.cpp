// Step size control in plain numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "ode/controller.h"

using namespace slope::ode;

TEST_CASE("controller: I is torchdiffeq's rule") {
  // factor = 10 for r = 0, else min(10, max(0.9 / r^(1/p), r < 1 ? 1 : 0.2))
  for (int p : {2, 3, 5, 8}) {
    for (double r : {1e-12, 1e-3, 0.1, 0.5, 0.95, 1.0, 1.05, 3.0, 100.0, 1e9}) {
      Controller controller({}, p);
      const double expected =
          std::min(10.0, std::max(0.9 / std::pow(r, 1.0 / p), r < 1 ? 1.0 : 0.2));
      CHECK(controller.factor(r) == doctest::Approx(expected).epsilon(1e-14));
    }
    CHECK(Controller({}, p).factor(0) == 10);
  }
}

TEST_CASE("controller: limits hold whatever the error and the history") {
  const ControllerOptions settings[] = {
      {}, kPiController, {.proportional = 0.4, .integral = 0.3, .derivative = 0.1}};
  const double errors[] = {0, 1e-300, 1e-9, 0.01, 0.7, 1, 1.0001, 3, 1e5, 1e300, HUGE_VAL, NAN};
  for (const ControllerOptions& options : settings) {
    for (double before_that : errors) {
      for (double before : errors) {
        for (double now : errors) {
          Controller controller(options, 5);
          controller.factor(before_that);
          controller.factor(before);
          const double factor = controller.factor(now);
          CAPTURE(now);
          if (now < 1) CHECK(factor >= 1);
          if (!Controller::accept(now)) CHECK(factor <= 0.9);
          CHECK(factor >= 0.2);
          CHECK(factor <= 10);
        }
      }
    }
  }
  CHECK(Controller::accept(1));
  CHECK(!Controller::accept(std::nextafter(1.0, 2.0)));
  CHECK(!Controller::accept(NAN));
  CHECK(Controller({}, 5).factor(NAN) == 0.2);
  CHECK(Controller({}, 5).factor(HUGE_VAL) == 0.2);
}

TEST_CASE("controller: history moves on acceptance only") {
  Controller fresh(kPiController, 5), after_rejections(kPiController, 5);
  after_rejections.factor(7);
  after_rejections.factor(NAN);
  CHECK(fresh.factor(0.3) == after_rejections.factor(0.3));
  CHECK(fresh.factor(0.3) == after_rejections.factor(0.3));
  // PID by hand, with d = 1 / error: 0.9 d_n^((P+I+D)/k) d_(n-1)^(-(P+2D)/k) d_(n-2)^(D/k)
  Controller pid({.proportional = 0.3, .integral = 0.3, .derivative = 0.1}, 4);
  pid.factor(0.8);
  pid.factor(0.5);
  const double expected =
      0.9 * std::pow(1 / 0.05, 0.7 / 4) * std::pow(1 / 0.5, -0.5 / 4) * std::pow(1 / 0.8, 0.1 / 4);
  CHECK(pid.factor(0.05) == doctest::Approx(expected).epsilon(1e-14));
  // An exact step must not move the two after it.
  Controller exact(kPiController, 5), usual(kPiController, 5);
  exact.factor(0);
  usual.factor(1);
  CHECK(exact.factor(0.5) == usual.factor(0.5));
}
