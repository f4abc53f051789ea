// Gradients of a solve: exact, equal in every mode, and clear about what would be lost.
#include "ode/gradient.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/functions.h"
#include "core/plan.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const std::vector<double> x = a.values(), y = b.values();
  return std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
}

Tensor start_state(Dtype dtype = Dtype::f64) {
  return tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, dtype);
}
// A loss that looks at every output: sum_j (j + 1) sum(sin(y_j)).
Tensor loss_of(const Solution& s) {
  Tensor loss;
  for (size_t j = 1; j < s.ys.size(); ++j) {
    const Tensor part = static_cast<double>(j) * sum(sin(s.ys[j]));
    loss = loss.defined() ? loss + part : part;
  }
  return loss;
}

struct Gradients {
  double loss;
  Tensor y0;
  Tensors weights;
  Statistics counts;
};
Gradients gradients(const Tensor& y0, const Tensors& weights, const std::vector<double>& times,
                    const Solver& solver, Gradient mode, StepPlans* plans = nullptr) {
  Tensors watched = weights;
  watched.push_back(y0);
  Tape tape(watched);
  const Solution s = solve_differentiable(small_network(weights), y0, times, solver, mode, plans);
  REQUIRE(s.status == Status::success);
  const Tensor loss = loss_of(s);
  Tensors d = tape.gradient(loss, watched);
  Gradients g{loss.item(), d.back(), {}, *s.statistics};
  d.pop_back();
  g.weights = d;
  return g;
}

void check_same(const Gradients& a, const Gradients& b) {
  CHECK(a.loss == b.loss);
  CHECK(same_bits(a.y0, b.y0));
  REQUIRE(a.weights.size() == b.weights.size());
  for (size_t i = 0; i < a.weights.size(); ++i) CHECK(same_bits(a.weights[i], b.weights[i]));
}

// x with value i moved by amount.
Tensor moved(const Tensor& x, size_t i, double amount) {
  std::vector<double> values = x.values();
  values[i] += amount;
  return tensor(values, x.shape(), x.dtype());
}

const char* const kWords[] = {
    "euler:3", "rk4:1", "rk4:4", "rk38:h=0.3", "dopri5:3", "dopri5@1e-4", "bosh3@1e-3",
    "cash-karp@1e-4~pi", "rk3,u=1/3,v=2/3:2", "heun2@1e-2",
    // methods that carry more than y from step to step
    "explicit_adams:6", "explicit_adams,order=3:h=0.15", "implicit_adams:6", "implicit_adams@1e-4",
    "reversible-heun:5", "reversible-heun@1e-2", "alf:5", "alf,eta=0.9:5", "implicit-euler:3",
    "trapezoid:2", "gauss4:2", "radau5:h=0.4", "tr-bdf2:2", "kvaerno3:3", "kencarp4@1e-8"};

}  // namespace

TEST_CASE("gradient: checkpointed equals through bit for bit") {
  const Tensors weights = small_weights(3, 5);
  for (const char* word : kWords) {
    for (const auto& times :
         std::vector<std::vector<double>>{{0, 1}, {0, 0.4, 0.4, 1.1}, {1, 0.2, -0.5}}) {
      CAPTURE(word);
      const Solver solver = parse_solver(word);
      const Gradients through = gradients(start_state(), weights, times, solver, Gradient::through);
      const Gradients checkpointed =
          gradients(start_state(), weights, times, solver, Gradient::checkpointed);
      check_same(through, checkpointed);
      CHECK(through.counts.evaluations == checkpointed.counts.evaluations);
      CHECK(through.counts.evaluations_backward == 0);
      CHECK(checkpointed.counts.evaluations_backward > 0);
      double size = 0;
      for (const Tensor& d : through.weights) size += norm(d).item();
      CHECK(size > 0.1);
    }
  }
}

TEST_CASE("gradient: replayed steps and replayed gradients have the bits of eager ones") {
  StepPlans plans;
  for (const char* word : kWords) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    for (int repeat = 0; repeat < 3; ++repeat) {
      const Tensors weights = small_weights(3, 5 + repeat % 2);  // another shape in between
      const Tensor y0 = start_state() * (1 + 0.1 * repeat);
      const std::vector<double> times = {0, 0.4, 1.1 + 0.1 * repeat};
      check_same(gradients(y0, weights, times, solver, Gradient::checkpointed),
                 gradients(y0, weights, times, solver, Gradient::checkpointed, &plans));
    }
  }
  CHECK(plans.size() <= 48);
}

TEST_CASE("gradient: against central differences, on the accepted steps") {
  const Tensors weights = small_weights(3, 4);
  const std::vector<double> times = {0, 0.4, 1.1};
  for (const char* word : kWords) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const Gradients g = gradients(start_state(), weights, times, solver, Gradient::checkpointed);
    const Solution s = solve(small_network(weights), start_state(), times, solver);
    const Solver frozen{.method = solver.method, .stepping = StepGrid{s.grid}};
    const auto loss = [&](const Tensor& y0, const Tensors& w) {
      return loss_of(solve(small_network(w), y0, times, frozen)).item();
    };
    const double h = 1e-5;
    const auto check = [&](const Tensor& d, size_t i, double up, double down) {
      CHECK(std::abs(d.values()[i] - (up - down) / (2 * h)) < 1e-8);
    };
    for (size_t i = 0; i < 6; ++i) {
      check(g.y0, i, loss(moved(start_state(), i, h), weights),
            loss(moved(start_state(), i, -h), weights));
    }
    for (size_t w = 0; w < weights.size(); ++w) {
      for (size_t i = 0; i < static_cast<size_t>(weights[w].size()); i += 3) {
        Tensors up = weights, down = weights;
        up[w] = moved(weights[w], i, h);
        down[w] = moved(weights[w], i, -h);
        check(g.weights[w], i, loss(start_state(), up), loss(start_state(), down));
      }
    }
  }
}

TEST_CASE("gradient: of the times, at fixed fractions of the accepted steps") {
  const Tensors weights = small_weights(3, 4);
  const std::vector<double> values = {0.1, 0.5, 1.3};
  const Tensor times = tensor(values, {3}, Dtype::f64);
  for (const char* word : {"rk4:4", "dopri5@1e-4", "bosh3@1e-3", "euler:3", "explicit_adams:8",
                           "implicit_adams@1e-4", "reversible-heun:5", "alf:4"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    Tensors found;
    for (Gradient mode : {Gradient::through, Gradient::checkpointed}) {
      Tape tape({times});
      const Solution s =
          solve_differentiable(small_network(weights), start_state(), times, solver, mode);
      found.push_back(tape.gradient(loss_of(s), {times})[0]);
      CHECK(s.ys.back().values() ==
            solve(small_network(weights), start_state(), values, solver).y.values());
    }
    const std::vector<double> grid =
        solve(small_network(weights), start_state(), values, solver).grid;
    const auto loss = [&](size_t moved_time, double amount) {
      std::vector<double> at = values, g = grid;
      at[moved_time] += amount;
      for (double& t : g) {
        const size_t j = t < values[1] ? 0 : 1;
        const double x = (t - values[j]) / (values[j + 1] - values[j]);
        t = x == 1 ? at[j + 1] : at[j] + x * (at[j + 1] - at[j]);
      }
      return loss_of(solve(small_network(weights), start_state(), at,
                           {.method = solver.method, .stepping = StepGrid{g}}))
          .item();
    };
    for (size_t i = 0; i < 3; ++i) {
      const double h = 1e-5, expected = (loss(i, h) - loss(i, -h)) / (2 * h);
      CHECK(std::abs(found[0].values()[i] - expected) < 1e-8);
      CHECK(std::abs(found[1].values()[i] - expected) < 1e-8);
    }
  }
}

TEST_CASE("gradient: of equal output times the last one gets that of all") {
  // y' = y: dy(t_j)/dt_j = y(t_j), dy(t_j)/dt_0 = -y(t_j).
  const Tensor y0 = row({2});
  const Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return 1.0 * y; }};
  const auto found = [&](const std::vector<double>& times, size_t output, Gradient mode) {
    const Tensor t = tensor(times, {static_cast<int64_t>(times.size())}, Dtype::f64);
    Tape tape({t});
    const Solution s = solve_differentiable(f, y0, t, parse_solver("dopri5@1e-9"), mode);
    return tape.gradient(sum(s.ys[output]), {t})[0];
  };
  const double a = 2 * std::exp(0.7), b = 2 * std::exp(2.0);
  for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::adjoint}) {
    INFO(std::string(name(mode)));
    for (size_t output : {1, 2}) {
      CHECK(largest_difference(found({0, 0.7, 0.7, 2}, output, mode), {-a, 0, a, 0}) < 1e-6);
    }
    CHECK(largest_difference(found({0, 0, 2}, 2, mode), {0, -b, b}) < 1e-6);
    CHECK(largest_difference(found({0, 0, 2}, 1, mode), {0, 0, 0}) < 1e-6);
  }
}

TEST_CASE("gradient: of gradients") {
  const Tensors weights = small_weights(3, 4);
  for (const char* word : {"rk4:2", "dopri5@1e-3", "euler:1", "explicit_adams,order=2:3",
                           "reversible-heun:2", "alf:2"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    Tensors second;
    for (Gradient mode : {Gradient::through, Gradient::checkpointed}) {
      const Tensor y0 = start_state(), w = weights[0];
      Tape outer({y0, w});
      Tensor d;
      {
        Tape inner({y0});
        const Solution s = solve_differentiable(small_network(weights), y0, {0, 1}, solver, mode);
        d = inner.gradient(loss_of(s), {y0})[0];
      }
      for (const Tensor& x : outer.gradient(sum(square(d)), {y0, w})) second.push_back(x);
    }
    CHECK(largest_difference(second[0], second[2].values()) < 1e-12);
    CHECK(largest_difference(second[1], second[3].values()) < 1e-12);
    CHECK(norm(second[1]).item() > 1e-3);

    const std::vector<double> grid =
        solve(small_network(weights), start_state(), {0, 1}, solver).grid;
    const auto slope_size = [&](const Tensor& y0) {
      Tape tape({y0});
      const Solution s =
          solve_differentiable(small_network(weights), y0, {0, 1},
                               {.method = solver.method, .stepping = StepGrid{grid}});
      return sum(square(tape.gradient(loss_of(s), {y0})[0])).item();
    };
    for (size_t i = 0; i < 6; ++i) {
      const double h = 1e-5;
      const double expected =
          (slope_size(moved(start_state(), i, h)) - slope_size(moved(start_state(), i, -h))) /
          (2 * h);
      CHECK(std::abs(second[0].values()[i] - expected) < 1e-7);
    }
  }
}

TEST_CASE("gradient: zeros where nothing flows") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y0 = start_state(), unused = ones({2, 2}, Dtype::f64);
  Field f = small_network(weights);
  f.context.push_back(unused);
  for (const char* word : {"rk4:3", "dopri5@1e-3", "implicit_adams:7", "alf:3"}) {
    for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::reversible}) {
      if (mode == Gradient::reversible && !parse_solver(word).method.facts().reversible) continue;
      Tape tape({y0, weights[0], unused});
      const Solution s = solve_differentiable(f, y0, {0, 0.5, 1}, parse_solver(word), mode);
      const Tensors d = tape.gradient(sum(s.y * 0.0), {y0, weights[0], unused});
      CHECK(d[0].values() == std::vector<double>(6, 0.0));
      CHECK(d[1].values() == std::vector<double>(12, 0.0));
      CHECK(d[2].shape() == Shape{2, 2});
      CHECK(d[2].values() == std::vector<double>(4, 0.0));
      // A loss of an early output alone.
      const Tensor early = tape.gradient(sum(s.ys[1]), {y0})[0];
      CHECK(norm(early).item() > 0.1);
      // The first output is y0 itself.
      CHECK(tape.gradient(sum(s.ys[0]), {y0})[0].values() == std::vector<double>(6, 1.0));
    }
  }
  // The same tensor twice in the context, and the start in it too.
  const Field twice{.context = {weights[1], weights[1], y0},
                    .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
                      return tanh(y * c[2]) * sum(c[0]) + sum(square(c[1]));
                    }};
  Tensors through, checkpointed;
  for (Gradient mode : {Gradient::through, Gradient::checkpointed}) {
    Tape tape({y0, weights[1]});
    const Solution s = solve_differentiable(twice, y0, {0, 1}, parse_solver("rk4:3"), mode);
    (mode == Gradient::through ? through : checkpointed) =
        tape.gradient(sum(s.y), {y0, weights[1]});
  }
  for (size_t i = 0; i < 2; ++i) {
    CHECK(largest_difference(through[i], checkpointed[i].values()) < 1e-12);
  }
}

TEST_CASE("gradient: a watched tensor that is missing in the context is an error") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y0 = start_state();
  const auto message = [&](StepPlans* plans, const char* word) -> std::string {
    Tape tape({weights[1]});
    const Field leaky{.context = {weights[0], weights[2], weights[3]},
                      .evaluate = [&](const Tensor& t, const Tensor& y, const Tensors& c) {
                        return linear(tanh(linear(y, c[0], weights[1]) + t * c[2]), c[1]);
                      }};
    try {
      solve_differentiable(leaky, y0, {0, 1}, parse_solver(word), Gradient::checkpointed, plans);
    } catch (const ValueError& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string expected =
      "solve: the field uses a watched tensor (4) that is not in its context, so its gradient "
      "would "
      "be lost. Add it: Field{.context = {w, ...}}.";
  CHECK(message(nullptr, "rk4:2") == expected);
  CHECK(message(nullptr, "rk4:1") == expected);
  CHECK(message(nullptr, "dopri5@1e-3") == expected);
  StepPlans plans;
  CHECK(message(&plans, "rk4:2") == expected);
  // Plans that were captured without a tape know nothing of it: the first gradient looks.
  StepPlans used;
  const Field f = small_network(weights);
  solve(f, y0, {0, 1}, parse_solver("rk4:2"), {.plans = &used});
  CHECK(message(&used, "rk4:2") == expected);
}

TEST_CASE("gradient: a field with side effects has them once per forward evaluation") {
  const Tensors weights = small_weights(3, 4);
  int evaluations = 0;
  Field f = small_network(weights);
  f.evaluate_again = f.evaluate;
  f.evaluate = [&, plain = f.evaluate](const Tensor& t, const Tensor& y, const Tensors& c) {
    ++evaluations;
    return plain(t, y, c);
  };
  StepPlans plans;
  for (const char* word : {"rk4:3", "rk4:1", "dopri5@1e-3", "explicit_adams:6",
                           "implicit_adams@1e-3", "alf:3", "reversible-heun@1e-2"}) {
    for (int repeat = 0; repeat < 2; ++repeat) {
      evaluations = 0;
      const Tensor y0 = start_state();
      Tape tape({y0, weights[0]});
      const Solution s =
          solve_differentiable(f, y0, {0, 1}, parse_solver(word), Gradient::checkpointed, &plans);
      tape.gradient(sum(s.y), {y0, weights[0]});
      CHECK(evaluations == s.statistics->evaluations);
    }
  }
}

TEST_CASE("gradient: a whole training step with fixed steps is one plan") {
  for (const char* word :
       {"rk4:1", "rk4:4", "dopri5:2", "implicit_adams:5", "alf:3", "reversible-heun:2"}) {
    for (Gradient mode : {Gradient::through, Gradient::checkpointed}) {
      CAPTURE(word);
      const Tensors weights = small_weights(3, 5, Dtype::f32);
      StepPlans plans;
      const auto train = [&](const Tensors& in) {
        Tape tape(weights);
        const Solution s = solve_differentiable(small_network(weights), in[0], {0, 1},
                                                parse_solver(word), mode, &plans);
        const Tensor loss = loss_of(s);
        const Tensors d = tape.gradient(loss, weights);
        const MuteTapes quiet;
        for (size_t i = 0; i < weights.size(); ++i) copy_into(weights[i], weights[i] - 0.1 * d[i]);
        return Tensors{loss};
      };
      Tensors inputs;
      for (int k = 0; k < 4; ++k) inputs.push_back(start_state(Dtype::f32) * (1 + 0.2 * k));
      std::vector<double> eager, replayed;
      Tensors before;
      for (const Tensor& w : weights) before.push_back(w.clone());
      for (const Tensor& x : inputs) eager.push_back(train({x})[0].item());
      for (size_t i = 0; i < weights.size(); ++i) copy_into(weights[i], before[i]);
      const int64_t step_plans = plans.captures();
      Plan plan({inputs[0]}, train);
      replayed.push_back(plan.results()[0].item());
      const int64_t allocations = plan.pool_allocations();
      for (size_t k = 1; k < inputs.size(); ++k)
        replayed.push_back(plan.run({inputs[k]})[0].item());
      CHECK(eager == replayed);
      CHECK(plan.pool_allocations() == allocations);
      CHECK(plans.captures() == step_plans);  // a capture inlines the steps
      CHECK(eager[1] != eager[0]);
    }
  }
  // Adaptive steps read values: no plan can hold them, and the message says what to do.
  const Tensors weights = small_weights(3, 5);
  try {
    Plan({start_state()}, [&](const Tensors& in) {
      return Tensors{solve(small_network(weights), in[0], {0, 1}, parse_solver("dopri5")).y};
    });
    FAIL("captured an adaptive solve");
  } catch (const PlanError& error) {
    CHECK(std::string(error.what()).find("Take fixed steps") != std::string::npos);
  }
}

TEST_CASE("gradient: of a solve that failed, the outputs it reached") {
  const Tensor y0 = row({1}), w = row({1});
  // NaN from t = 0.5 on.
  const Field edge{.context = {w},
                   .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                     return y * sqrt(0.5 - t) * c[0];
                   }};
  for (const char* word : {"rk4:10", "dopri5@1e-4"}) {
    Tensors whole, part;
    for (Gradient mode : {Gradient::through, Gradient::checkpointed}) {
      Tape tape({y0, w});
      const Solution failed = solve_differentiable(edge, y0, {0, 0.2, 1}, parse_solver(word), mode);
      REQUIRE(failed.status == Status::not_finite);
      REQUIRE(failed.ys.size() == 2);
      part = tape.gradient(sum(failed.ys[1]), {y0, w});
      const Solution good = solve_differentiable(
          edge, y0, {0, 0.2},
          {.method = parse_solver(word).method,
           .stepping = StepGrid{std::vector<double>(
               failed.grid.begin(), std::find(failed.grid.begin(), failed.grid.end(), 0.2) + 1)}},
          mode);
      whole = tape.gradient(sum(good.y), {y0, w});
      for (size_t i = 0; i < 2; ++i) CHECK(part[i].values() == whole[i].values());
      CHECK(std::abs(part[1].item()) > 0.1);
    }
  }
}

TEST_CASE("gradient: modes by name") {
  CHECK(parse_gradient("through") == Gradient::through);
  CHECK(parse_gradient("checkpointed") == Gradient::checkpointed);
  CHECK(std::string(name(Gradient::checkpointed)) == "checkpointed");
  CHECK_THROWS_WITH_AS(parse_gradient("adjiont"),
                       "gradient: there is no gradient \"adjiont\". Write one of checkpointed, "
                       "through, reversible, adjoint, adjoint-seminorm.",
                       ValueError);
  CHECK(parse_gradient_word("adjoint").gradient == Gradient::adjoint);
  CHECK(parse_gradient_word("checkpointed,states=20").options.most_states == 20);
  CHECK(parse_gradient_word("adjoint-seminorm,interpolate").options.interpolate);
  for (const char* word : {"checkpointed,states=0", "checkpointed,states=1.5",
                           "checkpointed,states=", "checkpointed,20", "checkpointed,", "adjoint,x",
                           "through,states=3", "checkpointed,interpolate", ",states=3"}) {
    CAPTURE(word);
    CHECK_THROWS_AS(parse_gradient_word(word), ValueError);
  }
}
