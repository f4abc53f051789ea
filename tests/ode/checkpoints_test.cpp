// Checkpoints under a budget: the binomial schedule, and gradients that keep their bits under it.
#include "ode/checkpoints.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "autograd/tape.h"
#include "core/plan.h"
#include "ode/gradient.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

// The fewest repeated steps, by trying everything. With only the first state:
//   A(n, s) = min over m of  m + A(n - m, s - 1) + A(m, s)     (keep the state after m steps)
// and with a free sweep over the steps beforehand the same without the m.
class Tried {
 public:
  Tried(int64_t steps, int64_t slots) : slots_(slots), known_(2 * (steps + 1) * (slots + 1), -1) {}
  int64_t least(int64_t n, int64_t s, bool swept) {
    if (n <= 1) return 0;
    int64_t& known = known_[static_cast<size_t>(((n * (slots_ + 1)) + s) * 2 + (swept ? 1 : 0))];
    if (known >= 0) return known;
    known = n * (n - 1) / 2;  // every time from the first state
    for (int64_t m = 1; m < n && s > 1; ++m) {
      const int64_t there = swept ? 0 : m;
      known = std::min(known, there + least(n - m, s - 1, swept) + least(m, s, false));
    }
    return known;
  }

 private:
  int64_t slots_;
  std::vector<int64_t> known_;
};

// A solve whose states are the numbers of their steps, and the way back over it.
struct Walk {
  int64_t repeated;
  int64_t most_kept;
};
Walk walk(size_t steps, int64_t slots, bool number_known) {
  const auto state = [](size_t n) {
    return Tensors{scalar(static_cast<double>(n), Dtype::f64, default_device())};
  };
  KeptStates kept(slots);
  if (number_known) kept.expect(steps);
  for (size_t n = 0; n < steps; ++n) kept.offer(n, state(n));
  size_t at = 0;
  const KeptStates::Advance advance = [&](size_t n, const Tensors& from, bool) {
    CHECK(from[0].item() == static_cast<double>(n));
    return state(n + 1);
  };
  for (size_t n = steps; n-- > 0;) {
    at = n;
    CHECK(kept.at(n, advance)[0].item() == static_cast<double>(at));
  }
  return {kept.repeated(), kept.most_kept()};
}

Tensor start_state() { return tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, Dtype::f64); }

struct Found {
  std::vector<double> values;  // the loss, then all gradients
  Statistics counts;
  int64_t steps;
};
Found gradients(const std::vector<double>& times, const Solver& solver, Gradient mode,
                const GradientOptions& options = {}, StepPlans* plans = nullptr) {
  Tensors watched = small_weights(3, 4);
  const Field f = small_network(watched);
  const Tensor y0 = start_state();
  watched.push_back(y0);
  Tape tape(watched);
  const Solution s = solve_differentiable(f, y0, times, solver, mode, plans, options);
  REQUIRE(s.status == Status::success);
  Tensor loss = sum(sin(s.ys[1]));
  for (size_t j = 2; j < s.ys.size(); ++j) loss = loss + sum(square(s.ys[j]));
  Found found{{loss.item()}, {}, static_cast<int64_t>(s.grid.size()) - 1};
  for (const Tensor& d : tape.gradient(loss, watched)) {
    const std::vector<double> values = d.values();
    found.values.insert(found.values.end(), values.begin(), values.end());
  }
  found.counts = *s.statistics;
  return found;
}

}  // namespace

TEST_CASE("checkpoints: as few repeated steps as any schedule has") {
  Tried tried(40, 9);
  for (int64_t steps = 1; steps <= 40; ++steps) {
    for (int64_t slots = 1; slots <= 9; ++slots) {
      CAPTURE(steps);
      CAPTURE(slots);
      CHECK(repeated_steps(steps, slots) == tried.least(steps, slots, false));
      CHECK(repeated_steps_after_a_sweep(steps, slots) == tried.least(steps, slots, true));
      const Walk w = walk(static_cast<size_t>(steps), slots, true);
      CHECK(w.repeated == tried.least(steps, slots, true));
      CHECK(w.most_kept <= slots);
    }
  }
  // 10 states do for 1000 steps with less than three repetitions of each.
  CHECK(repeated_steps_after_a_sweep(1000, 10) == walk(1000, 10, true).repeated);
  CHECK(repeated_steps_after_a_sweep(1000, 10) < 3000);
}

TEST_CASE("checkpoints: a schedule over many steps is no work, however few the states") {
  // With one state each step is repeated from the start: step n costs n - 1. (Going through all
  // numbers of repetitions for that would take this test hours.)
  CHECK(repeated_steps(100'000'000, 1) == 4'999'999'950'000'000);
  for (int64_t slots : {1, 2, 3, 20}) {
    KeptStates kept(slots);
    for (size_t n = 0; n < 50'000; ++n) kept.offer(n, {});
    CHECK(kept.most_kept() == slots);
  }
}

TEST_CASE("checkpoints: a number of steps that nobody knew beforehand costs little more") {
  for (size_t steps : {1, 5, 17, 60, 100, 333, 1000}) {
    for (int64_t slots : {1, 2, 3, 7, 16, 50}) {
      if (steps > 100 && slots < 7) continue;  // many repetitions and nothing new
      const Walk w = walk(steps, slots, false);
      const int64_t best = repeated_steps_after_a_sweep(static_cast<int64_t>(steps), slots);
      CAPTURE(steps);
      CAPTURE(slots);
      CHECK(w.most_kept <= slots);
      CHECK(w.repeated >= best);
      CHECK(static_cast<double>(w.repeated) <= 1.15 * static_cast<double>(best) + 3);
    }
  }
}

TEST_CASE("checkpoints: the bits of the gradient do not depend on the budget") {
  StepPlans plans;
  for (const char* word :
       {"rk4:1", "rk4:11", "rk38:h=0.13", "dopri5@1e-6", "bosh3@1e-5~pi", "explicit_adams:12",
        "adams@1e-5", "implicit_adams@1e-4", "reversible-heun@1e-2", "alf:9", "gauss4:4",
        "tr-bdf2:4", "kvaerno3@1e-4"}) {
    for (const auto& times : std::vector<std::vector<double>>{{0, 1.1}, {1, 0.2, 0.2, -0.5}}) {
      CAPTURE(word);
      const Solver solver = parse_solver(word);
      const Found through = gradients(times, solver, Gradient::through);
      const Found plain = gradients(times, solver, Gradient::checkpointed);
      CHECK(plain.values == through.values);
      CHECK(plain.counts.states_kept == plain.steps);
      CHECK(plain.counts.repeated_steps == 0);
      for (int64_t states : {1, 3, 1000}) {
        for (StepPlans* with : {static_cast<StepPlans*>(nullptr), &plans}) {
          const Found found =
              gradients(times, solver, Gradient::checkpointed, {.most_states = states}, with);
          CHECK(found.values == through.values);
          CHECK(found.counts.states_kept == std::min(states, found.steps));
          CHECK(found.counts.evaluations == plain.counts.evaluations);
          const int64_t best = repeated_steps_after_a_sweep(found.steps, states);
          if (std::holds_alternative<Adaptive>(solver.stepping)) {
            CHECK(found.counts.repeated_steps >= best);
          } else {
            CHECK(found.counts.repeated_steps == best);
          }
        }
      }
    }
  }
}

TEST_CASE("checkpoints: a second gradient of the same solve, and one inside a plan") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y0 = start_state();
  {
    Tape tape({y0, weights[0]});
    const Solution s =
        solve_differentiable(small_network(weights), y0, {0, 1}, parse_solver("rk4:20"),
                             Gradient::checkpointed, nullptr, {.most_states = 3});
    const Tensor loss = sum(sin(s.y));
    const Tensors first = tape.gradient(loss, {y0, weights[0]});
    CHECK(s.statistics->repeated_steps == repeated_steps_after_a_sweep(20, 3));
    const Tensors second = tape.gradient(loss, {y0, weights[0]});
    // The states of the way forward are used up, but for the first one.
    CHECK(s.statistics->repeated_steps ==
          repeated_steps_after_a_sweep(20, 3) + repeated_steps(20, 3));
    for (size_t i = 0; i < 2; ++i) CHECK(first[i].values() == second[i].values());
  }

  const auto train = [&](const Tensors& in) {
    Tape inner(weights);
    const Solution made =
        solve_differentiable(small_network(weights), in[0], {0, 1}, parse_solver("rk4:9"),
                             Gradient::checkpointed, nullptr, {.most_states = 2});
    return inner.gradient(sum(sin(made.y)), weights);
  };
  const Tensors eager = train({y0 * 2.0});
  Plan plan({y0}, train);
  const int64_t allocations = plan.pool_allocations();
  const Tensors& replayed = plan.run({y0 * 2.0});
  for (size_t i = 0; i < weights.size(); ++i) CHECK(replayed[i].values() == eager[i].values());
  CHECK(plan.pool_allocations() == allocations);
}

TEST_CASE("checkpoints: of a solve that failed, and options that do not belong together") {
  const Tensor y0 = row({1}), w = row({1});
  const Field edge{.context = {w},
                   .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                     return y * sqrt(0.5 - t) * c[0];
                   }};
  for (const char* word : {"rk4:40", "dopri5@1e-6"}) {
    std::vector<double> found;
    for (int64_t states : {0, 3}) {
      Tape tape({y0, w});
      const Solution failed =
          solve_differentiable(edge, y0, {0, 0.4, 1}, parse_solver(word), Gradient::checkpointed,
                               nullptr, {.most_states = states});
      REQUIRE(failed.status == Status::not_finite);
      found.push_back(tape.gradient(sum(failed.ys[1]), {w})[0].item());
    }
    CHECK(found[0] == found[1]);
    CHECK(found[0] > 0.1);
  }
  const auto refused = [&](Gradient mode, const GradientOptions& options) {
    CHECK_THROWS_AS(
        solve_differentiable(edge, y0, {0, 0.1}, parse_solver("rk4"), mode, nullptr, options),
        ValueError);
  };
  refused(Gradient::checkpointed, {.most_states = -1});
  refused(Gradient::adjoint, {.most_states = 3});
  refused(Gradient::through, {.interpolate = true});
  refused(Gradient::checkpointed, {.backward = parse_solver("rk4")});
}
