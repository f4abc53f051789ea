// The continuous adjoint: near the exact gradient of the discrete solve, as near as its tolerance.
#include "ode/gradient_adjoint.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "ode/solver_word.h"
#include "ode/trainable.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

Tensor start_state() { return tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, Dtype::f64); }
const std::vector<double> kTimes = {0.1, 0.5, 0.9, 1.6};

// sum_j (j + 1) sum(sin(y_j))
Tensor loss_of(const Solution& s) {
  Tensor loss = sum(sin(s.ys[1]));
  for (size_t j = 2; j < s.ys.size(); ++j) loss = loss + static_cast<double>(j) * sum(sin(s.ys[j]));
  return loss;
}

struct Found {
  Tensors gradients;  // of y0, the times, and the context
  Statistics counts;
};
Found gradients(const Field& f, const Tensor& y0, const std::vector<double>& times,
                const Solver& solver, Gradient mode, StepPlans* plans = nullptr,
                const GradientOptions& options = {}) {
  const Tensor t = tensor(times, {static_cast<int64_t>(times.size())}, Dtype::f64);
  Tensors watched = {y0, t};
  watched.insert(watched.end(), f.context.begin(), f.context.end());
  Tape tape(watched);
  const Solution s = solve_differentiable(f, y0, t, solver, mode, plans, options);
  REQUIRE(s.status == Status::success);
  Tensors d = tape.gradient(loss_of(s), watched);
  return {d, *s.statistics};
}

double difference(const Found& a, const Found& b) {
  double largest = 0;
  for (size_t i = 0; i < a.gradients.size(); ++i)
    largest = std::max(largest, largest_difference(a.gradients[i], b.gradients[i].values()));
  return largest;
}

// A problem's field with one weight: w f(t, y), w = 1.
Field weighted(const Field& f) {
  Field g = f;
  g.context.push_back(row({1}));
  g.evaluate = [f](const Tensor& t, const Tensor& y, const Tensors& c) {
    Field inner = f;
    inner.context.assign(c.begin(), c.end() - 1);
    return inner(t, y) * c.back();
  };
  return g;
}

}  // namespace

TEST_CASE("adjoint: approaches the discrete gradient as the tolerance falls") {
  const Field f = small_network(small_weights(3, 5));
  for (Gradient mode : {Gradient::adjoint, Gradient::adjoint_seminorm}) {
    double before = 1;
    for (const char* word :
         {"dopri5@1e-2", "dopri5@1e-4", "dopri5@1e-6", "dopri5@1e-8", "dopri5@1e-10"}) {
      const Solver solver = parse_solver(word);
      const Found exact = gradients(f, start_state(), kTimes, solver, Gradient::checkpointed);
      const Found found = gradients(f, start_state(), kTimes, solver, mode);
      const double d = difference(exact, found);
      INFO(std::string(name(mode)), ", ", std::string(word), ": ", d);
      CHECK(d < 300 * std::get<Adaptive>(solver.stepping).rtol);
      CHECK(d < before);
      before = d;
      CHECK(found.counts.evaluations == exact.counts.evaluations);
      CHECK(found.counts.evaluations_backward > 0);
    }
    CHECK(before < 1e-8);
  }
  // An output twice: the gradients of both arrive at one time.
  Tensors twice;
  for (Gradient mode : {Gradient::checkpointed, Gradient::adjoint}) {
    const Tensor y0 = start_state();
    Tape tape({y0, f.context[0]});
    const Solution s =
        solve_differentiable(f, y0, {0, 0.5, 0.5, 1}, parse_solver("dopri5@1e-10"), mode);
    const Tensors d = tape.gradient(loss_of(s), {y0, f.context[0]});
    twice.insert(twice.end(), d.begin(), d.end());
  }
  for (size_t i = 0; i < 2; ++i) CHECK(largest_difference(twice[i], twice[i + 2].values()) < 1e-8);
  // Another method and tolerance for the way back: the way there stays as it is.
  const Solver coarse = parse_solver("bosh3@1e-3");
  const GradientOptions fine{.backward = parse_solver("dopri8@1e-11")};
  const Found own = gradients(f, start_state(), {0, 1}, coarse, Gradient::adjoint, nullptr, fine);
  const Found same = gradients(f, start_state(), {0, 1}, coarse, Gradient::adjoint);
  CHECK(own.counts.evaluations == same.counts.evaluations);
  CHECK(own.counts.evaluations_backward > same.counts.evaluations_backward);
}

TEST_CASE("adjoint: fixed steps go back over the steps of the way there, at the method's order") {
  const Field f = small_network(small_weights(3, 5));
  for (const auto& [method, order] : {std::pair("rk4", 4), std::pair("heun2", 2)}) {
    double before = 0;
    for (int steps : {8, 16, 32}) {
      const Solver solver = parse_solver(concat(method, ":", steps));
      // On a grid that the outputs belong to.
      const std::vector<double> times = {0, 0.5, 2};
      const Found exact = gradients(f, start_state(), times, solver, Gradient::checkpointed);
      const Found found = gradients(f, start_state(), times, solver, Gradient::adjoint);
      // Each step, and the slopes at the three times.
      CHECK(found.counts.evaluations_backward == steps * order + 3);
      const double d = difference(exact, found);
      if (before > 0) CHECK(std::log2(before / d) > order - 0.3);
      before = d;
    }
  }
  const GradientOptions finer{.backward = parse_solver("rk4:64")};
  CHECK(gradients(f, start_state(), {0, 0.5, 2}, parse_solver("rk4:8"), Gradient::adjoint, nullptr,
                  finer)
            .counts.evaluations_backward == 64 * 4 + 3);
}

TEST_CASE("adjoint: the seminorm costs no more evaluations, to one step") {
  std::vector<Problem> suite = order_problems();
  suite.push_back(problem_until("lotka-volterra", 3));
  suite.push_back(problem_until("pendulum", 5));
  for (const Problem& p : suite) {
    for (const char* word : {"dopri5@1e-3", "dopri5@1e-6", "bosh3@1e-4", "tsit5@1e-8"}) {
      CAPTURE(p.name);
      CAPTURE(word);
      const Solver solver = parse_solver(word);
      const Field f = weighted(p.field);
      const Found full = gradients(f, p.y0, {0, p.end}, solver, Gradient::adjoint);
      const Found semi = gradients(f, p.y0, {0, p.end}, solver, Gradient::adjoint_seminorm);
      CHECK(semi.counts.evaluations_backward <=
            full.counts.evaluations_backward + solver.method.facts().stages);
    }
  }
  // y' = -y + scale w cos(60 t) with w = 0: y and a are easy, but g' = -scale a cos(60 t) is not.
  const auto cost = [&](Gradient mode, double scale) {
    const Field busy{.context = {row({0})},
                     .evaluate = [=](const Tensor& t, const Tensor& y, const Tensors& c) {
                       return -y + scale * c[0] * cos(60.0 * t);
                     }};
    return gradients(busy, row({1}), {0, 5}, parse_solver("dopri5@1e-4"), mode)
        .counts.evaluations_backward;
  };
  CHECK(10 * cost(Gradient::adjoint_seminorm, 1e3) < cost(Gradient::adjoint, 1e3));
  CHECK(cost(Gradient::adjoint_seminorm, 1e3) == cost(Gradient::adjoint_seminorm, 1));
}

TEST_CASE("adjoint: gradients of the times are those of the ODE") {
  // y(t1) = y0 exp(sin t1 - sin t0), y(t2) likewise; loss y(t1) + 2 y(t2).
  const Problem p = cosine_problem();
  const std::vector<double> at = {0.3, 1.1, 2.4};
  const Tensor t = tensor(at, {3}, Dtype::f64), y0 = row({1.25});
  Tape tape({t, y0});
  const Solution s =
      solve_differentiable(p.field, y0, t, parse_solver("dopri5@1e-11"), Gradient::adjoint);
  const Tensors d = tape.gradient(sum(s.ys[1]) + 2.0 * sum(s.ys[2]), {t, y0});
  const auto y = [&](size_t i) { return 1.25 * std::exp(std::sin(at[i]) - std::sin(at[0])); };
  const std::vector<double> expected = {-std::cos(at[0]) * (y(1) + 2 * y(2)),
                                        std::cos(at[1]) * y(1), 2 * std::cos(at[2]) * y(2)};
  CHECK(largest_difference(d[0], expected) < 1e-9);
  CHECK(largest_difference(d[1], {(y(1) + 2 * y(2)) / 1.25}) < 1e-9);
}

TEST_CASE("adjoint: zero where nothing flows, twice where a tensor stands twice") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y0 = start_state(), unused = ones({2, 2}, Dtype::f64);
  Field f = small_network(weights);
  f.context.push_back(unused);
  f.context.emplace_back();  // an undefined one as well
  f.evaluate = [g = f.evaluate](const Tensor& t, const Tensor& y, const Tensors& c) {
    return g(t, y, c);
  };
  for (Gradient mode : {Gradient::adjoint, Gradient::adjoint_seminorm}) {
    for (const char* word : {"rk4:3", "dopri5@1e-3"}) {
      Tape tape({y0, weights[0], unused});
      const Solution s = solve_differentiable(f, y0, {0, 0.5, 1}, parse_solver(word), mode);
      const Tensors d = tape.gradient(sum(s.y * 0.0), {y0, weights[0], unused});
      CHECK(d[0].values() == std::vector<double>(6, 0.0));
      CHECK(d[1].values() == std::vector<double>(12, 0.0));
      CHECK(d[2].shape() == Shape{2, 2});
      CHECK(d[2].values() == std::vector<double>(4, 0.0));
      const int64_t before = s.statistics->evaluations_backward;
      CHECK(norm(tape.gradient(sum(s.ys[1]), {y0})[0]).item() > 0.1);
      // The loss of an early output needs nothing of what comes after it.
      if (std::string(word) == "rk4:3") CHECK(s.statistics->evaluations_backward - before == 2 * 4);
      CHECK(tape.gradient(sum(s.ys[0]), {y0})[0].values() == std::vector<double>(6, 1.0));
    }
  }
  const Field twice{.context = {weights[1], weights[1], y0},
                    .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
                      return tanh(y * sum(c[2])) * sum(c[0]) + sum(square(c[1]));
                    }};
  Tensors exact, found;
  for (Gradient mode : {Gradient::checkpointed, Gradient::adjoint}) {
    Tape tape({y0, weights[1]});
    const Solution s = solve_differentiable(twice, y0, {0, 1}, parse_solver("dopri5@1e-10"), mode);
    (mode == Gradient::adjoint ? found : exact) = tape.gradient(sum(s.y), {y0, weights[1]});
  }
  for (size_t i = 0; i < 2; ++i) CHECK(largest_difference(found[i], exact[i].values()) < 1e-7);
}

TEST_CASE("adjoint: replayed steps have the bits of eager ones and allocate once") {
  StepPlans plans;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Field f = small_network(small_weights(3, 5));
    const Tensor y0 = start_state() * (1 + 0.1 * repeat);
    for (const char* word : {"rk4:3", "dopri5@1e-4", "bosh3@1e-3"}) {
      for (Gradient mode : {Gradient::adjoint, Gradient::adjoint_seminorm}) {
        const Solver solver = parse_solver(word);
        const Found eager = gradients(f, y0, kTimes, solver, mode);
        const Found replayed = gradients(f, y0, kTimes, solver, mode, &plans);
        CHECK(difference(eager, replayed) == 0);
        CHECK(eager.counts.evaluations_backward == replayed.counts.evaluations_backward);
      }
    }
    // A state of another shape and other wanted tensors, but as many values in all.
    const Found other = gradients(small_network(small_weights(2, 5)), y0.reshape({3, 2}), kTimes,
                                  parse_solver("rk4:3"), Gradient::adjoint);
    StepPlans fresh;
    CHECK(difference(other, gradients(small_network(small_weights(2, 5)), y0.reshape({3, 2}),
                                      kTimes, parse_solver("rk4:3"), Gradient::adjoint, &fresh)) ==
          0);
    static int64_t allocations = 0;
    if (repeat == 1) allocations = plans.allocations();
    if (repeat == 2) CHECK(plans.allocations() == allocations);
  }
}

TEST_CASE("adjoint: gradients of gradients") {
  const Tensors weights = small_weights(3, 4);
  Tensors second;
  for (const auto& [mode, interpolate] :
       {std::pair(Gradient::checkpointed, false), std::pair(Gradient::adjoint, false),
        std::pair(Gradient::adjoint, true)}) {
    const Tensor y0 = start_state(), w = weights[0];
    Tape outer({y0, w});
    Tensor d;
    {
      Tape inner({y0});
      const Solution s =
          solve_differentiable(small_network(weights), y0, {0, 1}, parse_solver("rk4:40"), mode,
                               nullptr, {.interpolate = interpolate});
      d = inner.gradient(sum(sin(s.y)), {y0})[0];
    }
    for (const Tensor& x : outer.gradient(sum(square(d)), {y0, w})) second.push_back(x);
  }
  for (size_t i : {2, 4}) {
    CHECK(largest_difference(second[i], second[0].values()) < 1e-6);
    CHECK(largest_difference(second[i + 1], second[1].values()) < 1e-6);
  }
  CHECK(norm(second[1]).item() > 1e-3);
}

TEST_CASE("adjoint: with the state of the way forward") {
  const Field f = small_network(small_weights(3, 5));
  const GradientOptions interpolate{.interpolate = true};
  for (Gradient mode : {Gradient::adjoint, Gradient::adjoint_seminorm}) {
    // Of methods with dense output of their own, with cubics, implicit, and of several steps.
    for (const char* method :
         {"dopri5", "tsit5", "dopri8", "bosh3", "cash-karp", "kvaerno3", "adams"}) {
      if (mode == Gradient::adjoint_seminorm && std::string(method) != "dopri5") continue;
      // The long steps of a method of high order ask much of a cubic.
      const double factor = std::string(method) == "adams" ? 5000 : 500;
      for (const char* tolerance : {"1e-3", "1e-6"}) {
        const Solver solver = parse_solver(concat(method, "@", tolerance));
        const Found exact = gradients(f, start_state(), kTimes, solver, Gradient::checkpointed);
        const Found found = gradients(f, start_state(), kTimes, solver, mode, nullptr, interpolate);
        const double d = difference(exact, found);
        INFO(std::string(name(mode)), ", ", concat(method, "@", tolerance), ": ", d);
        CHECK(d < factor * std::get<Adaptive>(solver.stepping).rtol);
        CHECK(found.counts.evaluations == exact.counts.evaluations);
        CHECK(found.counts.states_kept == exact.counts.states_kept + 1);
      }
    }
  }
  // Fixed steps: at the order of the method, as the cubic has it.
  double before = 0;
  for (int steps : {8, 16, 32}) {
    const Solver solver = parse_solver(concat("rk4:", steps));
    const double d = difference(
        gradients(f, start_state(), {0, 0.5, 2}, solver, Gradient::checkpointed),
        gradients(f, start_state(), {0, 0.5, 2}, solver, Gradient::adjoint, nullptr, interpolate));
    if (before > 0) CHECK(std::log2(before / d) > 3.7);
    before = d;
  }
  // A way back with fixed steps of its own ends one wherever the way there did; backward in time
  // and with output times twice as well.
  GradientOptions own = interpolate;
  own.backward = parse_solver("rk4:64");
  const Solver fine = parse_solver("dopri5@1e-9");
  for (const std::vector<double>& times : {std::vector<double>{0, 0.5, 0.5, 1}, {1, 0.2, -0.5}}) {
    const Found exact = gradients(f, start_state(), times, fine, Gradient::checkpointed);
    const Found found = gradients(f, start_state(), times, fine, Gradient::adjoint, nullptr, own);
    for (size_t i = 0; i < exact.gradients.size(); ++i) {
      if (i == 1) continue;  // of the times: two that are equal share one gradient as they like
      CHECK(largest_difference(found.gradients[i], exact.gradients[i].values()) < 1e-6);
    }
  }
  // Replayed: the same bits.
  StepPlans plans;
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Solver solver = parse_solver("dopri5@1e-4");
    const Found eager =
        gradients(f, start_state(), kTimes, solver, Gradient::adjoint, nullptr, interpolate);
    const Found replayed =
        gradients(f, start_state(), kTimes, solver, Gradient::adjoint, &plans, interpolate);
    CHECK(difference(eager, replayed) == 0);
  }
}

TEST_CASE("adjoint: where the way back is unstable the state must be that of the way forward") {
  // y1' = -50 y1, y2' = w y1: dy2(1)/dw = (1 - exp(-50)) / 50. Solved backward, y1 grows by
  // exp(50).
  const Tensor y0 = row({1, 0}), w = row({3});
  const Field f{.context = {w}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
                  const Tensor first = slice(y, 1, 0, 1);
                  return concatenate({-50.0 * first, c[0] * first}, 1);
                }};
  const double expected = (1 - std::exp(-50.)) / 50;
  const auto found = [&](const char* word, bool interpolate) {
    Tape tape({w});
    Solver solver = parse_solver(word);
    std::get<Adaptive>(solver.stepping).max_steps = 1000;
    const Solution s = solve_differentiable(f, y0, {0, 1}, solver, Gradient::adjoint, nullptr,
                                            {.interpolate = interpolate});
    return tape.gradient(sum(slice(s.y, 1, 1, 2)), {w})[0].item();
  };
  for (const char* word : {"dopri5@1e-6", "tsit5@1e-8", "kvaerno3@1e-4"}) {
    INFO(std::string(word));
    CHECK(std::abs(found(word, true) - expected) < 1e-3 * expected);
    // Without it the gradient is nowhere near, or there is none.
    double plain = HUGE_VAL;
    try {
      plain = found(word, false);
    } catch (const SolveError&) {
    }
    CHECK(std::abs(plain - expected) > 100 * expected);
  }
}

TEST_CASE("adjoint: jumps of the field end steps of the way back too") {
  // y' = w y up to t = 0.5, then -2 w y: log y(1) / y(0) = w (0.5 - 1).
  const Tensor w = row({0.7}), y0 = row({1.5});
  Field f{.context = {w}, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
            return c[0] * y * select(t > scalar(0.5, Dtype::f64), scalar(-2, Dtype::f64), 1);
          }};
  f.jumps = {0.5};
  for (bool interpolate : {false, true}) {
    Tape tape({w, y0});
    const Solution s =
        solve_differentiable(f, y0, {0, 1}, parse_solver("dopri5@1e-9"), Gradient::adjoint, nullptr,
                             {.interpolate = interpolate});
    const Tensors d = tape.gradient(sum(s.y), {w, y0});
    CHECK(d[0].item() == doctest::Approx(-0.5 * 1.5 * std::exp(-0.35)).epsilon(1e-7));
    CHECK(d[1].item() == doctest::Approx(std::exp(-0.35)).epsilon(1e-7));
    // Nobody has to find out about the jump by trying: that cost 111 evaluations on the way there.
    CHECK(s.statistics->evaluations < 120);
    CHECK(s.statistics->evaluations_backward < (interpolate ? 400 : 160));
  }
}

TEST_CASE("adjoint: at an output time that is a jump the slope is the one that leads there") {
  // y' = w up to t = 1, then 5 w.
  const Tensor w = row({2}), y0 = row({0.5});
  Field f{.context = {w}, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
            return c[0] * select(t >= scalar(1, Dtype::f64), scalar(5, Dtype::f64), 1) + 0.0 * y;
          }};
  f.jumps = {1};
  const auto slopes = [&](const std::vector<double>& times, Gradient mode) {
    const Tensor t = tensor(times, {static_cast<int64_t>(times.size())}, Dtype::f64);
    Tape tape({t, w});
    const Solution s = solve_differentiable(f, y0, t, parse_solver("dopri5@1e-6"), mode);
    return tape.gradient(sum(s.ys[1]), {t})[0];
  };
  for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::adjoint}) {
    INFO(std::string(name(mode)));
    CHECK(largest_difference(slopes({0, 1}, mode), {-2, 2}) < 1e-9);
    CHECK(largest_difference(slopes({1, 2}, mode), {-10, 10}) < 1e-9);
    CHECK(largest_difference(slopes({0, 1, 2}, mode), {-2, 2, 0}) < 1e-9);
    // Backward in time the other side leads there.
    CHECK(largest_difference(slopes({2, 1}, mode), {-10, 10}) < 1e-9);
    CHECK(largest_difference(slopes({1, 0}, mode), {-2, 2}) < 1e-9);
  }
}

TEST_CASE("adjoint: the budget of steps is that of the whole way back") {
  const Field f = small_network(small_weights(3, 5));
  std::vector<double> times;
  for (int i = 0; i <= 10; ++i) times.push_back(0.2 * i);
  for (bool interpolate : {false, true}) {
    const auto back = [&](const std::vector<double>& at, int64_t budget) {
      Solver limited = parse_solver("dopri5@1e-6");
      std::get<Adaptive>(limited.stepping).max_steps = budget;
      return gradients(f, start_state(), at, parse_solver("dopri5@1e-6"), Gradient::adjoint,
                       nullptr, {.backward = limited, .interpolate = interpolate});
    };
    // Each interval needs a step or more, but none of them ten.
    CHECK_THROWS_AS(back(times, 9), SolveError);
    back(times, 200);
  }
}

TEST_CASE("adjoint: what it cannot do is refused before the solve") {
  int64_t evaluations = 0;
  const Field halves = separable_field(
      {.position_slope = [&](const Tensor&, const Tensor& p,
                             const Tensors&) { return ++evaluations, p; },
       .momentum_slope = [](const Tensor&, const Tensor& q, const Tensors&) { return neg(q); }});
  const Tensor y0 = row({1, 0});
  const auto message = [&](const Field& f, const Solver& solver, const Tensor& watched) {
    Tape tape({y0, watched});
    try {
      solve_differentiable(f, y0, {0, 1}, solver, Gradient::adjoint);
    } catch (const ValueError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(
      message(halves, parse_solver("leapfrog:5"), row({1})) ==
      "solve: the adjoint cannot go back by leapfrog: its system has no halves that are separate. "
      "Take the checkpointed gradient, or another method for the way back.");
  CHECK(evaluations == 0);
  // A parameter of the method is watched.
  const Tensor u = scalar(0.6, Dtype::f64);
  const Field plain{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return neg(y); }};
  const Solver trainable{.method = trainable_rk2(u), .stepping = Steps{4}};
  CHECK(message(plain, trainable, u).find("the adjoint has no gradient of that") !=
        std::string::npos);
}

TEST_CASE("adjoint: what cannot be solved says so") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y0 = start_state();
  const auto message = [](const auto& f) -> std::string {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const GradientOptions hasty{.backward =
                                  Solver{parse_solver("dopri5").method,
                                         Adaptive{.rtol = 1e-9, .atol = 1e-9, .max_steps = 2}}};
  CHECK(message([&] {
          gradients(small_network(weights), y0, {0, 1}, parse_solver("rk4:4"), Gradient::adjoint,
                    nullptr, hasty);
        }).starts_with("gradient: the adjoint has no solution. solve: the budget of 2 steps"));
  const Field leaky{.context = {weights[0], weights[2], weights[3]},
                    .evaluate = [&](const Tensor& t, const Tensor& y, const Tensors& c) {
                      return linear(tanh(linear(y, c[0], weights[1]) + t * c[2]), c[1]);
                    }};
  CHECK(message([&] {
          Tape tape({weights[1]});
          solve_differentiable(leaky, y0, {0, 1}, parse_solver("rk4:2"), Gradient::adjoint);
        }).find("watched tensor (4) that is not in its context") != std::string::npos);
  // A solve that failed: the outputs it reached have their gradients.
  const Tensor x = row({1}), w = row({1});
  const Field edge{.context = {w},
                   .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                     return y * sqrt(0.5 - t) * c[0];
                   }};
  Tape tape({x, w});
  const Solution failed =
      solve_differentiable(edge, x, {0, 0.2, 1}, parse_solver("dopri5@1e-8"), Gradient::adjoint);
  REQUIRE(failed.ys.size() == 2);
  // log y(0.2) = w (0.5^1.5 - 0.3^1.5) / 1.5
  const double growth = (std::pow(0.5, 1.5) - std::pow(0.3, 1.5)) / 1.5;
  CHECK(tape.gradient(sum(failed.ys[1]), {w})[0].item() ==
        doctest::Approx(growth * std::exp(growth)).epsilon(1e-6));
}
