// Events: found to their tolerance, in order and direction, with jumps, and differentiable.
#include "ode/event.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/functions.h"
#include "ode/methods.h"
#include "ode/root.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

constexpr double kGravity = 9.81;

// Height and velocity of a ball: (1, 2). context: gravity ()
Field falling(const Tensor& gravity) {
  return {.context = {gravity}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
            const Tensor velocity = slice(y, 1, 1, 2);
            return concatenate({velocity, neg(c[0]) * ones_like(velocity)}, 1);
          }};
}

Tensor component(const Tensor& y, int64_t i) { return sum(slice(y, 1, i, i + 1)); }

// The ball touches the floor and keeps a part `restitution` () of its speed, from the context.
Event bounce(int64_t stop_at, double restitution) {
  return {
      .condition = [](const Tensor&, const Tensor& y, const Tensors&) { return component(y, 0); },
      .crossing = Crossing::falling,
      .stop_at = stop_at,
      .jump =
          [restitution](const Tensor&, const Tensor& y, const Tensors&) {
            return concatenate({slice(y, 1, 0, 1), -restitution * slice(y, 1, 1, 2)}, 1);
          }};
}

Event crosses(double level, Crossing crossing = Crossing::any, int64_t stop_at = 1) {
  return {.condition = [level](const Tensor&, const Tensor& y,
                               const Tensors&) { return component(y, 0) - level; },
          .crossing = crossing,
          .stop_at = stop_at};
}

// y = (sin t, cos t).
Field circle() {
  return {.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    return concatenate({slice(y, 1, 1, 2), neg(slice(y, 1, 0, 1))}, 1);
  }};
}

const Tensor kGravityTensor = scalar(kGravity, Dtype::f64);

}  // namespace

TEST_CASE("root: finds sign changes of smooth, flat and broken functions") {
  const auto check = [](const std::function<double(double)>& f, double a, double b, double root) {
    int calls = 0;
    const double x = find_root([&](double t) { return ++calls, f(t); }, {a, f(a), b, f(b)}, 1e-12);
    CHECK(std::abs(x - root) < 2e-12);
    CHECK(calls <= 44);
    return calls;
  };
  CHECK(check([](double x) { return std::cos(x) - x; }, 0, 1, 0.7390851332151607) < 12);
  check([](double x) { return x < 0.3 ? -1 : 1; }, 0, 1, 0.3);
  check([](double x) { return std::pow(x - 0.5, 9); }, 1, 0, 0.5);
  check([](double x) { return x - 1; }, 0, 1, 1);
  check([](double x) { return std::exp(30 * x) - 2; }, 0, 1, std::log(2) / 30);
}

TEST_CASE("events: a bouncing ball, its times and speeds against the closed form") {
  constexpr double height = 2, keeps = 0.8;
  const double first = std::sqrt(2 * height / kGravity), speed = kGravity * first;
  for (const char* word : {"dopri5@1e-8", "rk4:37", "bosh3@1e-9", "rk38:h=0.5", "dopri5@1e-6~pi"}) {
    CAPTURE(word);
    const EventSolution s = solve_events(falling(kGravityTensor), row({height, 0}), {0, 1, 10},
                                         parse_solver(word), {bounce(4, keeps)});
    REQUIRE(s.solution.status == Status::success);
    REQUIRE(s.hits.size() == 4);
    CHECK(s.ended);
    double time = first, v = speed;
    for (const EventHit& hit : s.hits) {
      CHECK(hit.time == doctest::Approx(time).epsilon(1e-10));
      CHECK(std::abs(component(hit.y, 0).item()) < 1e-9);
      CHECK(component(hit.y, 1).item() == doctest::Approx(-v).epsilon(1e-9));
      v *= keeps;
      if (&hit != &s.hits.back()) CHECK(component(hit.y_after, 1).item() == doctest::Approx(v));
      time += 2 * v / kGravity;
    }
    CHECK(s.solution.t == s.hits.back().time);
    CHECK(s.solution.y.values() == s.hits.back().y.values());
    CHECK(s.solution.times == std::vector<double>{0, 1});
    CHECK(s.solution.grid.back() == s.solution.t);
    CHECK(s.solution.statistics->accepted == static_cast<int64_t>(s.solution.grid.size()) - 1);
  }
}

TEST_CASE("events: gradients of bounce times and states against the closed form") {
  // T1 = sqrt(2 y0 / g); T2 = T1 + 2 e g T1 / g = T1 (1 + 2 e); the speed at T2 is e g T1.
  constexpr double height = 2, keeps = 0.8;
  const double first = std::sqrt(2 * height / kGravity);
  for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
    for (const char* word : {"dopri5@1e-8", "rk4:10"}) {
      CAPTURE(word);
      const Tensor y0 = row({height, 0}), g = scalar(kGravity, Dtype::f64);
      Tape tape({y0, g});
      const EventSolution s = solve_events(falling(g), y0, {0, 10}, parse_solver(word),
                                           {bounce(2, keeps)}, {.gradient = gradient});
      REQUIRE(s.hits.size() == 2);
      const auto check = [&](const Tensor& x, double dheight, double dvelocity, double dgravity) {
        const Tensors d = tape.gradient(x, {y0, g});
        CHECK(d[0].values()[0] == doctest::Approx(dheight).epsilon(1e-7));
        CHECK(d[0].values()[1] == doctest::Approx(dvelocity).epsilon(1e-7));
        CHECK(d[1].item() == doctest::Approx(dgravity).epsilon(1e-7));
      };
      // With a starting velocity v: T1 = (v + sqrt(v^2 + 2 g y0)) / g.
      check(s.hits[0].t, first / (2 * height), 1 / kGravity, -first / (2 * kGravity));
      const double f = 1 + 2 * keeps;
      // T2 = T1 + 2 e s / g with the speed s = sqrt(v^2 + 2 g y0) of the first bounce.
      check(s.hits[1].t, f * first / (2 * height), 1 / kGravity, -f * first / (2 * kGravity));
      check(component(s.hits[1].y, 1), -keeps * kGravity / (kGravity * first), 0,
            -keeps * height / (kGravity * first));
      check(component(s.hits[0].y_after, 1), keeps * kGravity / (kGravity * first), 0,
            keeps * height / (kGravity * first));
      check(component(s.solution.y, 1), -keeps / first, 0, -keeps * height / (kGravity * first));
    }
  }
}

TEST_CASE("events: the gradient is that of the discrete solve, of a nonlinear problem too") {
  // y' = -w y + sin t from y0 until y falls through 1/2, then on, upside down, to t = 3.
  const auto solve_at = [](const Tensor& y0, const Tensor& w) {
    const Field f{.context = {w},
                  .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                    return sin(3.0 * t) - c[0] * y * y;
                  }};
    Event e = crosses(0.5, Crossing::falling, 0);
    e.jump = [](const Tensor& t, const Tensor& y, const Tensors& c) { return y + c[0] + 0.1 * t; };
    return solve_events(f, y0, {0, 1.5, 3}, parse_solver("rk4:12"), {e}, {.tolerance = 1e-14});
  };
  const auto loss = [&](const EventSolution& s) {
    return s.hits[0].t * sum(s.solution.y) + sum(square(s.solution.ys[1])) + sum(s.hits[0].y_after);
  };
  const Tensor y0 = row({1.25}), w = scalar(0.9, Dtype::f64);
  Tape tape({y0, w});
  const EventSolution s = solve_at(y0, w);
  REQUIRE(s.hits.size() >= 1);
  REQUIRE(s.solution.ys.size() == 3);
  const Tensors d = tape.gradient(loss(s), {y0, w});
  const auto value = [&](double a, double b) {
    return loss(solve_at(row({a}), scalar(b, Dtype::f64))).item();
  };
  const double e = 1e-5;
  CHECK(d[0].item() ==
        doctest::Approx((value(1.25 + e, 0.9) - value(1.25 - e, 0.9)) / (2 * e)).epsilon(1e-7));
  CHECK(d[1].item() ==
        doctest::Approx((value(1.25, 0.9 + e) - value(1.25, 0.9 - e)) / (2 * e)).epsilon(1e-7));
  // The values of a watched solve are those of a plain one, to the bit.
  const MuteTapes quiet;
  const EventSolution plain = solve_at(y0, w);
  CHECK(plain.hits[0].time == s.hits[0].time);
  CHECK(plain.solution.y.values() == s.solution.y.values());
}

TEST_CASE("events: directions, several of them in order, and those that only take note") {
  const double pi = std::acos(-1);
  const Solver solver = parse_solver("dopri5@1e-9");
  const auto times_of = [&](const Event& e, const std::vector<double>& times) {
    std::vector<double> found;
    for (const EventHit& hit :
         solve_events(circle(), row({0.5, std::sqrt(0.75)}), times, solver, {e}).hits) {
      found.push_back(hit.time);
    }
    return found;
  };
  // sin(t + pi/6) passes through zero at 5 pi/6 falling, 11 pi/6 rising, ..
  const auto near = [](const std::vector<double>& found, const std::vector<double>& expected) {
    if (found.size() != expected.size()) return false;
    for (size_t i = 0; i < found.size(); ++i) {
      if (std::abs(found[i] - expected[i]) > 1e-7) return false;
    }
    return true;
  };
  CHECK(near(times_of(crosses(0, Crossing::any, 0), {0, 10}),
             {5 * pi / 6, 11 * pi / 6, 17 * pi / 6}));
  CHECK(near(times_of(crosses(0, Crossing::rising, 0), {0, 10}), {11 * pi / 6}));
  CHECK(near(times_of(crosses(0, Crossing::falling, 0), {0, 10}), {5 * pi / 6, 17 * pi / 6}));
  CHECK(near(times_of(crosses(0, Crossing::falling, 2), {0, 100}), {5 * pi / 6, 17 * pi / 6}));
  // Backward in time the ball comes from the other side.
  CHECK(near(times_of(crosses(0, Crossing::falling, 1), {0, -10}), {-pi / 6}));
  CHECK(near(times_of(crosses(0, Crossing::rising, 1), {0, -10}), {-7 * pi / 6}));
  CHECK(times_of(crosses(1.5), {0, 10}).empty());  // no event

  // Taking note changes nothing about the steps.
  const Solution plain = solve(circle(), row({0.5, std::sqrt(0.75)}), {0, 10}, solver);
  const EventSolution noted = solve_events(circle(), row({0.5, std::sqrt(0.75)}), {0, 10}, solver,
                                           {crosses(0, Crossing::any, 0)});
  CHECK(noted.solution.grid == plain.grid);
  CHECK(noted.solution.y.values() == plain.y.values());
  CHECK(!noted.ended);

  const EventSolution two =
      solve_events(circle(), row({0.5, std::sqrt(0.75)}), {0, 10}, solver,
                   {crosses(-0.5), crosses(0.9, Crossing::any, 0), crosses(0, Crossing::any, 0)});
  REQUIRE(two.hits.size() == 4);
  CHECK(two.hits[0].event == 1);
  CHECK(two.hits[1].event == 1);
  CHECK(two.hits[2].event == 2);
  CHECK(two.hits[3].event == 0);
  CHECK(two.solution.t == doctest::Approx(pi));
  CHECK(two.ended);
}

TEST_CASE("events: at the very first step, at the start, at the end, twice in a step") {
  const double pi = std::acos(-1);
  // In the first step, however long it is (diffrax#720).
  const EventSolution early =
      solve_events(circle(), row({0, 1}), {0, 1}, parse_solver("rk4:1"), {crosses(1e-3)});
  REQUIRE(early.hits.size() == 1);
  CHECK(early.hits[0].time == doctest::Approx(std::asin(1e-3)).epsilon(1e-9));
  CHECK(early.solution.grid.size() == 2);
  // A condition that is zero at t0 has not happened; it counts from the next time on.
  const EventSolution start =
      solve_events(circle(), row({0, 1}), {0, 10}, parse_solver("dopri5@1e-9"), {crosses(0)});
  REQUIRE(start.hits.size() == 1);
  CHECK(start.hits[0].time == doctest::Approx(pi).epsilon(1e-8));
  // Also where the first step passes it already.
  const EventSolution long_step = solve_events(falling(kGravityTensor), row({0, 1}), {0, 1},
                                               parse_solver("rk4:1"), {crosses(0)});
  REQUIRE(long_step.hits.size() == 1);
  CHECK(long_step.hits[0].time == doctest::Approx(2 / kGravity).epsilon(1e-9));
  // At the last time.
  const Field clock{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return ones_like(y); }};
  const EventSolution last =
      solve_events(clock, row({0}), {0, 1}, parse_solver("euler:4"), {crosses(1)});
  REQUIRE(last.hits.size() == 1);
  CHECK(last.hits[0].time == 1);
  CHECK(last.solution.times == std::vector<double>{0, 1});
  // Nothing to do.
  CHECK(solve_events(clock, row({0}), {1, 1}, parse_solver("euler:4"), {crosses(0)}).hits.empty());
  // Up and down again within a step shows only to those who look.
  const auto found = [&](int looks) {
    return solve_events(circle(), row({0, 1}), {0, 3}, parse_solver("dopri5:2"),
                        {crosses(0.9, Crossing::any, 0)}, {.looks = looks})
        .hits.size();
  };
  CHECK(found(0) == 2);  // one step up to 1.5, one down from there
  CHECK(solve_events(circle(), row({0, 1}), {0, 2.5}, parse_solver("dopri5:1"),
                     {crosses(0.9, Crossing::any, 0)})
            .hits.empty());
  CHECK(solve_events(circle(), row({0, 1}), {0, 2.5}, parse_solver("dopri5:1"),
                     {crosses(0.9, Crossing::any, 0)}, {.looks = 3})
            .hits.size() == 2);
}

TEST_CASE("events: the time is right to the tolerance, not to the interpolant's order") {
  // heun2 in long steps: the discrete solution is far from the sine, and the event is where the
  // discrete solution, the end of a step of heun2, crosses.
  const Solver heun = parse_solver("heun2:7");
  const EventSolution s = solve_events(circle(), row({0, 1}), {0, 3.5}, heun,
                                       {crosses(0.25, Crossing::falling)}, {.tolerance = 1e-13});
  REQUIRE(s.hits.size() == 1);
  const size_t n = s.solution.grid.size();
  const Solution again = solve(circle(), row({0, 1}), {0, s.solution.t},
                               {.method = method("heun2"), .stepping = StepGrid{s.solution.grid}});
  CHECK(n > 4);
  CHECK(std::abs(again.y.values()[0] - 0.25) < 1e-12);
  CHECK(again.y.values() == s.hits[0].y.values());
}

TEST_CASE("events: two at the same time both count, and endless ones end") {
  const Event twin = bounce(0, 0.5);
  const EventSolution s =
      solve_events(falling(kGravityTensor), row({1, 0}), {0, 0.6}, parse_solver("dopri5@1e-8"),
                   {twin, crosses(0, Crossing::falling, 0)});
  REQUIRE(s.hits.size() == 2);
  CHECK(s.hits[0].time == s.hits[1].time);
  const EventSolution zeno = solve_events(falling(kGravityTensor), row({1, 0}), {0, 5},
                                          parse_solver("dopri5@1e-8"), {twin}, {.most_hits = 8});
  CHECK(zeno.solution.status == Status::step_limit);
  CHECK(zeno.hits.size() == 8);
  CHECK(zeno.solution.message.find("events happened 8 times up to t = ") != std::string::npos);
  // A failure in between is the solution's status, with what happened before.
  const Field blow_up{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return square(y); }};
  const EventSolution pole = solve_events(blow_up, row({1}), {0, 2}, parse_solver("dopri5@1e-6"),
                                          {crosses(2, Crossing::rising, 0)});
  CHECK(pole.solution.status != Status::success);
  REQUIRE(pole.hits.size() == 1);
  CHECK(pole.hits[0].time == doctest::Approx(0.5).epsilon(1e-5));
}

// A multistep method knows the way to the step's beginning, not one to a time inside it.
TEST_CASE("events: as exact as the solve, by multistep methods too") {
  const double pi = std::acos(-1), zero = 11 * pi / 6;
  const Tensor y0 = row({0.5, std::sqrt(0.75)});
  for (const char* word : {"adams@1e-7", "adams@1e-10", "implicit_adams:400", "explicit_adams:400",
                           "dopri5@1e-7", "reversible-heun:4000"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const double solved =
        std::abs(solve(circle(), y0, {0, zero}, solver).y.values()[0]);  // the slope there is 1
    const EventSolution s =
        solve_events(circle(), y0, {0, 10}, solver, {crosses(0, Crossing::rising, 1)});
    REQUIRE(s.ended);
    CHECK(std::abs(s.hits[0].time - zero) < 10 * solved + 1e-10);
  }
}

TEST_CASE("events: a condition that is NaN ends the solve, with the reason") {
  Event e = crosses(5);
  e.condition = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return component(y, 0) * 0.0 + log(0.75 - t) + 10.0;
  };
  const EventSolution s = solve_events(circle(), row({0, 1}), {0, 1}, parse_solver("rk4:10"), {e});
  CHECK(s.solution.status == Status::not_finite);
  CHECK(s.solution.message.find("condition of event 0 is NaN") != std::string::npos);
  CHECK(s.solution.t == doctest::Approx(0.7));
  CHECK(s.hits.empty());
}

TEST_CASE("events: a budget of steps is that of the whole solve, in words too") {
  Solver solver = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(solver.stepping).max_steps = 12;
  const EventSolution s =
      solve_events(falling(kGravityTensor), row({1, 0}), {0, 5}, solver, {bounce(0, 0.9)});
  CHECK(s.solution.status == Status::step_limit);
  CHECK(s.solution.message.find("the budget of 12 steps ended at t = ") != std::string::npos);
  CHECK(s.solution.message.find("(from 0 to 5; 1") != std::string::npos);
  CHECK(s.hits.size() > 0);
}

// A ball that keeps half of its speed comes to rest at t = 3 sqrt(2 h / g): it must not fall
// through the floor then.
TEST_CASE("events: without end, in a finite time") {
  const EventSolution s = solve_events(falling(kGravityTensor), row({1, 0}), {0, 10},
                                       parse_solver("dopri5@1e-6"), {bounce(0, 0.5)});
  CHECK(s.solution.status == Status::step_limit);
  CHECK(s.solution.message.find("faster and faster") != std::string::npos);
  CHECK(s.solution.t == doctest::Approx(3 * std::sqrt(2 / 9.81)).epsilon(1e-9));
  CHECK(s.solution.times == std::vector<double>{0});
  CHECK(std::abs(s.solution.y.values()[0]) < 1e-9);
}

TEST_CASE("events: what is wrong with them is said") {
  const Event vector_valued{
      .condition = [](const Tensor&, const Tensor& y, const Tensors&) { return y; }};
  CHECK_THROWS_AS(
      solve_events(circle(), row({0, 1}), {0, 1}, parse_solver("rk4:4"), {vector_valued}),
      ShapeError);
  CHECK_THROWS_AS(solve_events(circle(), row({0, 1}), {0, 1}, parse_solver("rk4:4"), {Event{}}),
                  ValueError);
}
