// Jumps of the field, step times, resuming, warnings: what a solve does beside stepping from t0 on.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/functions.h"
#include "backends/cpu/threads.h"
#include "core/storage.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/per_sample.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"
#include "tests/ode/read_counter.h"

using namespace slope;
using namespace slope::ode;

namespace {

// y' = 1 before the jump, -3 after it, and the times at which it was asked.
Field kinked(double jump, std::vector<double>* asked = nullptr) {
  return {.evaluate =
              [jump, asked](const Tensor& t, const Tensor& y, const Tensors&) {
                if (asked) asked->push_back(t.item());
                return expand(select(t < jump, full_like(t, 1), full_like(t, -3)), y.shape());
              },
          .jumps = {jump}};
}

}  // namespace

TEST_CASE("jumps: each side of a discontinuity is integrated exactly, by every way of stepping") {
  const double jump = 1. / 3;
  for (const char* word : {"rk4:4", "euler:h=0.3", "dopri5:3", "dopri5@1e-10", "bosh3@1e-9~pi",
                           "heun2@1e-6", "rk38:1", "cash-karp@1e-8"}) {
    CAPTURE(word);
    for (double end : {1., 0.5}) {
      const Solution s = solve(kinked(jump), row({0}), {0, end}, parse_solver(word)).or_throw();
      CHECK(s.y.item() == doctest::Approx(jump - 3 * (end - jump)).epsilon(1e-13));
      CHECK(std::count(s.grid.begin(), s.grid.end(), jump) == 1);
      CHECK(s.statistics->rejected == 0);
    }
    const Solution back = solve(kinked(jump), row({0}), {1, 0}, parse_solver(word)).or_throw();
    CHECK(back.y.item() == doctest::Approx(3 * (1 - jump) - jump).epsilon(1e-13));
    CHECK(std::count(back.grid.begin(), back.grid.end(), jump) == 1);
  }
  // Without knowing of it, the adaptive solve rejects its way across.
  Field unknown = kinked(jump);
  unknown.jumps.clear();
  const Solution rough = solve(unknown, row({0}), {0, 1}, parse_solver("dopri5@1e-10"));
  CHECK(rough.statistics->rejected > 5);
}

TEST_CASE("jumps: the field is never asked on the wrong side, in float32 far from zero too") {
  for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const char* word : {"dopri5@1e-3", "bosh3@1e-3", "rk4:h=0.7", "heun2@1e-3"}) {
      CAPTURE(word);
      std::vector<double> asked;
      const double jump = 999.3;
      const Field f = kinked(jump, &asked);
      const Tensor y0 = zeros({1, 1}, dtype);
      const Solution s = solve(f, y0, {998, 1000}, parse_solver(word)).or_throw();
      CHECK(s.t == 1000);
      const double at = dtype == Dtype::f32 ? static_cast<double>(static_cast<float>(jump)) : jump;
      CHECK(std::count(asked.begin(), asked.end(), at) == 0);
      const auto next = [&](double direction) {
        if (dtype == Dtype::f64) return std::nextafter(jump, direction * 1e9);
        return static_cast<double>(
            std::nextafterf(static_cast<float>(jump), static_cast<float>(direction * 1e9)));
      };
      CHECK(std::count(asked.begin(), asked.end(), next(1)) >= 1);
      CHECK(std::count(asked.begin(), asked.end(), next(-1)) >= 1);
      CHECK(s.y.values()[0] ==
            doctest::Approx(1.3 - 3 * 0.7).epsilon(dtype == Dtype::f32 ? 1e-5 : 1e-12));
      CHECK(*std::max_element(asked.begin(), asked.end()) <= 1000);
    }
  }
}

TEST_CASE("jumps: an adaptive solve replays as a fixed grid, and its gradient is exact") {
  const Tensor w = scalar(0.7, Dtype::f64);
  const Field f{.context = {w},
                .evaluate =
                    [](const Tensor& t, const Tensor& y, const Tensors& c) {
                      return c[0] * y * select(t < 0.4, full_like(t, 1), full_like(t, -2)) + sin(y);
                    },
                .jumps = {0.4, 7}};
  const Tensor y0 = row({1.1, 0.3});
  for (const char* word : {"dopri5@1e-6", "heun2@1e-4", "verner6@1e-7~pi"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const Solution adaptive = solve(f, y0, {0, 1}, solver).or_throw();
    const Solver fixed{.method = solver.method, .stepping = StepGrid{adaptive.grid}};
    CHECK(solve(f, y0, {0, 1}, fixed).y.values() == adaptive.y.values());
    std::vector<Tensors> found;
    for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
      Tape tape({y0, w});
      const Solution s = solve_differentiable(f, y0, {0, 1}, solver, gradient);
      CHECK(s.y.values() == adaptive.y.values());
      found.push_back(tape.gradient(sum(square(s.y)), {y0, w}));
    }
    for (size_t i = 0; i < 2; ++i) CHECK(found[0][i].values() == found[1][i].values());
    const auto loss = [&](double value) {
      const Field moved = with_context(f, {scalar(value, Dtype::f64)});
      return sum(square(solve(moved, y0, {0, 1}, fixed).y)).item();
    };
    CHECK(found[0][1].item() ==
          doctest::Approx((loss(0.7 + 1e-5) - loss(0.7 - 1e-5)) / 2e-5).epsilon(1e-7));
  }
}

TEST_CASE("jumps: a method that carries slopes or a velocity across one refuses it") {
  Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return ones_like(y); },
          .jumps = {0.5}};
  const Tensor y0 = tensor({0., 1.}, {1, 2}, Dtype::f64);
  for (const char* word : {"reversible-heun:4", "alf:4", "alf,eta=0.8:4", "explicit_adams:4",
                           "adams@1e-3", "reversible-heun@1e-3"}) {
    CAPTURE(word);
    CHECK_THROWS_WITH_AS(solve(f, y0, {0, 1}, parse_solver(word)),
                         doctest::Contains("Solve from jump to jump"), ValueError);
  }
  for (const char* word : {"implicit-midpoint:4", "rk4:4"})
    CHECK(solve(f, y0, {0, 1}, parse_solver(word)).y.values()[0] == doctest::Approx(1));
}

TEST_CASE("step times: hit to the bit, without an output") {
  const Problem p = kepler_problem();
  Solver solver = parse_solver("dopri5@1e-5");
  std::get<Adaptive>(solver.stepping).step_times = {1. / 3, 2, 0.1, -5};
  for (double end : {3., -3.}) {
    const Solution s = solve(p.field, p.y0, {0, end}, solver).or_throw();
    CHECK(s.times == std::vector<double>{0, end});
    for (double t : {1. / 3, 2., 0.1}) {
      CHECK(std::count(s.grid.begin(), s.grid.end(), t) == (end > 0 ? 1 : 0));
    }
  }
}

TEST_CASE("resume: a solve that stops on the way is the uninterrupted one, bit for bit") {
  const Problem p = lotka_volterra();
  for (const char* word : {"dopri5@1e-5", "dopri5@1e-5~pid,0.3,0.3,0.1", "heun2@1e-4~pi",
                           "bosh3@1e-4", "cash-karp@1e-6~pi", "dopri8@1e-8"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    StepPlans plans;
    for (StepPlans* used : {static_cast<StepPlans*>(nullptr), &plans}) {
      const Solution whole = solve(p.field, p.y0, {0, 2.5, 6}, solver, {.plans = used});
      const Solution first = solve(p.field, p.y0, {0, 2.5}, solver, {.plans = used});
      const Solution rest =
          solve(p.field, first.y, {first.t, 6}, solver, {.plans = used, .resume = &first});
      CHECK(rest.y.values() == whole.y.values());
      std::vector<double> grid = first.grid;
      grid.insert(grid.end(), rest.grid.begin() + 1, rest.grid.end());
      CHECK(grid == whole.grid);
      CHECK(first.statistics->evaluations + rest.statistics->evaluations ==
            whole.statistics->evaluations);
      CHECK(first.statistics->rejected + rest.statistics->rejected == whole.statistics->rejected);
      CHECK(rest.next_step == whole.next_step);
    }
    // After a budget that was too small.
    Solver small = solver;
    std::get<Adaptive>(small.stepping).max_steps = 7;
    const Solution whole = solve(p.field, p.y0, {0, 6}, solver);
    const Solution stopped = solve(p.field, p.y0, {0, 6}, small);
    REQUIRE(stopped.status == Status::step_limit);
    const Solution rest = solve(p.field, stopped.y, {stopped.t, 6}, solver, {.resume = &stopped});
    CHECK(rest.y.values() == whole.y.values());
    CHECK(stopped.statistics->evaluations + rest.statistics->evaluations ==
          whole.statistics->evaluations);
  }
  const Solution first = solve(p.field, p.y0, {0, 1}, parse_solver("dopri5@1e-5"));
  CHECK_THROWS_AS(
      solve(p.field, first.y, {0.5, 2}, parse_solver("dopri5@1e-5"), {.resume = &first}),
      ValueError);
}

TEST_CASE("a field that turns NaN ends the solve at once, with a smallest step too") {
  const Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    return select(y > 0.5, full_like(y, NAN), ones_like(y));
  }};
  Solver solver = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(solver.stepping).min_step = 1e-2;
  const Solution s = solve(f, tensor({0.}, {1, 1}, Dtype::f64), {0, 1}, solver);
  CHECK(s.status == Status::not_finite);
  CHECK(s.statistics->rejected < 20);
  CHECK(s.t <= 0.5);
  CHECK(s.t > 0.4);
}

TEST_CASE("warnings: a tolerance below rounding is said, one above is not") {
  const Problem p = cosine_problem();
  const auto warnings = [&](const char* word, Dtype dtype) {
    const Tensor y0 = full({1, 1}, 1.25, dtype);
    return solve(p.field, y0, {0, 0.1}, parse_solver(word)).warnings;
  };
  CHECK(warnings("dopri5@1e-6", Dtype::f64).empty());
  CHECK(warnings("dopri5@1e-5", Dtype::f32).empty());
  const std::vector<std::string> found = warnings("dopri5@1e-8", Dtype::f32);
  REQUIRE(found.size() == 1);
  CHECK(found[0] ==
        "solve: the tolerance is below rounding: rtol 1e-8, atol 1e-8, while float32 states of "
        "size 1.25 are rounded by 7.45058e-08. Take rtol from 1.19209e-06 on, or float64.");
  CHECK(warnings("dopri5@1e-16", Dtype::f64).size() == 1);
  CHECK(warnings("dopri5@1e-8,1", Dtype::f32).empty());  // the absolute part is large enough
  // The state may be zero where it starts.
  const Field grows{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return ones_like(y) * cos(t);
  }};
  Solver far = parse_solver("dopri5@1e-15,1e-20");
  std::get<Adaptive>(far.stepping).max_steps = 100;
  CHECK(solve(grows, tensor({0.}, {1, 1}, Dtype::f64), {0, 1}, far).warnings.size() == 1);
}

TEST_CASE("solve (T8): no step size is ever on the tape, the first one neither") {
  const Problem p = cosine_problem();
  const Solver solver = parse_solver("dopri5@1e-4");
  const Tensor y0 = row({1.25});
  Tensors found;
  for (bool given : {false, true}) {
    Solver same = solver;
    const Solution plain = solve(p.field, y0, {0, 1}, solver);
    if (given) std::get<Adaptive>(same.stepping).first_step = plain.grid[1];
    Tape tape({y0});
    const Solution s = solve_differentiable(p.field, y0, {0, 1}, same, Gradient::through);
    CHECK(s.grid == plain.grid);
    found.push_back(tape.gradient(sum(s.y), {y0})[0]);
  }
  CHECK(found[0].values() == found[1].values());
}

TEST_CASE("solve: no allocation per step after the first, one host read per attempt") {
  const Problem p = kepler_problem();
  for (const char* word : {"rk4:200", "dopri5@1e-9", "bosh3@1e-6"}) {
    CAPTURE(word);
    for (bool planned : {false, true}) {
      StepPlans plans;
      const SolveOptions options{.plans = planned ? &plans : nullptr};
      const auto allocations = [&] {
        return memory_statistics(p.y0.device()).allocations + plans.allocations();
      };
      for (int warm_up = 0; warm_up < 4; ++warm_up) {
        solve(p.field, p.y0, {0, 0.3}, parse_solver(word), options);
      }
      const int64_t before = allocations();
      ReadCounter counter;
      const Solution s = solve(p.field, p.y0, {0, 3}, parse_solver(word), options);
      CHECK(s.grid.size() > 20);
      CHECK(allocations() == before);
      const bool fixed = word[0] == 'r';
      CHECK(counter.reads == (fixed ? 1 : 3 + s.statistics->accepted + s.statistics->rejected));
    }
  }
}

TEST_CASE("gradient: no allocation per step after the first, and no host read on the way back") {
  const Tensors weights = small_weights(3, 5);
  const Tensor y0 = full({4, 3}, 0.3, Dtype::f64);
  for (const char* word : {"rk4", "dopri5", "bosh3"}) {
    for (bool planned : {false, true}) {
      StepPlans plans;
      const auto allocations = [&] {
        return memory_statistics(y0.device()).allocations + plans.allocations();
      };
      int read_on_the_way_back = 0;
      const auto gradient = [&](const Stepping& stepping, int64_t most_states) {
        Tensors watched = weights;
        watched.push_back(y0);
        Tape tape(watched);
        const Solver solver{.method = method(word), .stepping = stepping};
        const Solution s =
            solve_differentiable(small_network(weights), y0, {0, 1}, solver, Gradient::checkpointed,
                                 planned ? &plans : nullptr, {.most_states = most_states});
        const Tensor loss = sum(s.y);
        ReadCounter counter;
        tape.gradient(loss, watched);
        read_on_the_way_back = counter.reads;
        return s;
      };
      CAPTURE(word);
      CAPTURE(planned);
      // In the memory of six states a long solve needs no more than a short one.
      for (int warm_up = 0; warm_up < 4; ++warm_up) gradient(Steps{12}, 6);
      int64_t before = allocations();
      gradient(Steps{150}, 6);
      CHECK(allocations() == before);
      CHECK(read_on_the_way_back == 0);  // debug builds check the first replays
      // With one state for each step, the second solve of the same length needs no more.
      const bool adaptive = std::string(word) != "rk4";
      const Stepping stepping =
          adaptive ? Stepping(Adaptive{.rtol = 1e-8, .atol = 1e-8}) : Stepping(Steps{40});
      for (int warm_up = 0; warm_up < 4; ++warm_up) gradient(stepping, 0);
      before = allocations();
      ReadCounter counter;
      const Solution s = gradient(stepping, 0);
      CHECK(allocations() == before);
      CHECK(read_on_the_way_back == 0);
      CHECK(counter.reads == (adaptive ? 3 + s.statistics->accepted + s.statistics->rejected : 1));
    }
  }
}

TEST_CASE("solve: the same bits and steps in every run and for 1, 2 and 8 threads") {
  const Tensors weights = small_weights(48, 64, Dtype::f32);
  std::vector<double> values;
  for (int i = 0; i < 96 * 48; ++i) values.push_back(std::sin(0.37 * i) * (1 + i % 7));
  const Tensor y0 = tensor(values, {96, 48}, Dtype::f32);
  const Solver solver = parse_solver("dopri5@1e-4");
  std::vector<Solution> shared;
  std::vector<PerSampleSolution> own;
  const int before = cpu::threads();
  for (int threads : {1, 1, 2, 8}) {
    cpu::set_threads(threads);
    shared.push_back(solve(small_network(weights), y0, {0, 0.5, 1}, solver).or_throw());
    own.push_back(solve_per_sample(small_network(weights), y0, {{0, 0.5, 1}}, solver).or_throw());
  }
  cpu::set_threads(before);
  for (size_t i = 1; i < 4; ++i) {
    CHECK(shared[i].y.values() == shared[0].y.values());
    CHECK(shared[i].grid == shared[0].grid);
    CHECK(own[i].y.values() == own[0].y.values());
    CHECK(own[i].grids == own[0].grids);
  }
}
