// Trainable families: the values of the fixed ones, and gradients of their parameters.
#include "ode/trainable.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "autograd/functions.h"
#include "ode/families.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

struct Family {
  std::function<Method(const Tensors& p)> trainable;
  std::function<Tableau(const std::vector<double>& p)> fixed;
  std::vector<double> at;
};
std::vector<Family> families() {
  using P = std::vector<double>;
  return {
      {[](const Tensors& p) { return trainable_rk2(p[0]); },
       [](const P& p) { return rk2(p[0]); },
       {0.4}},
      {[](const Tensors& p) { return trainable_rk3(p[0], p[1]); },
       [](const P& p) { return rk3(p[0], p[1]); },
       {0.4, 0.8}},
      {[](const Tensors& p) { return trainable_rk4_u1(p[0]); },
       [](const P& p) { return rk4_u1(p[0]); },
       {0.25}},
      {[](const Tensors& p) { return trainable_rk4_u2(p[0]); },
       [](const P& p) { return rk4_u2(p[0]); },
       {1. / 3}},  // a zero coefficient that is not a structural one: a42 = 1 - 3u
      {[](const Tensors& p) { return trainable_rk4_u3(p[0]); },
       [](const P& p) { return rk4_u3(p[0]); },
       {0.3}},
      {[](const Tensors& p) { return trainable_rk4(p[0], p[1]); },
       [](const P& p) { return rk4(p[0], p[1]); },
       {0.3, 0.6}},
  };
}

Tensors tensors(const std::vector<double>& values) {
  Tensors all;
  for (double v : values) all.push_back(scalar(v, Dtype::f64));
  return all;
}

Tensor start_state() { return tensor({0.5, -0.3, 0.8}, {1, 3}, Dtype::f64); }

}  // namespace

TEST_CASE("trainable: the same values as the fixed member") {
  const Field f = small_network(small_weights(3, 4));
  for (const Family& family : families()) {
    const Tableau fixed = family.fixed(family.at);
    CAPTURE(fixed.name);
    StepPlans plans;
    for (StepPlans* with : {static_cast<StepPlans*>(nullptr), &plans}) {
      const Solution a = solve(f, start_state(), {0, 1}, {.method = fixed, .stepping = Steps{3}});
      const Solution b = solve(
          f, start_state(), {0, 1},
          {.method = family.trainable(tensors(family.at)), .stepping = Steps{3}}, {.plans = with});
      CHECK(largest_difference(a.y, b.y.values()) < 1e-14);
      CHECK(a.statistics->evaluations == b.statistics->evaluations);
    }
  }
}

TEST_CASE("trainable: gradients of the parameters against central differences") {
  const Tensors weights = small_weights(3, 4);
  const Field f = small_network(weights);
  for (const Family& family : families()) {
    CAPTURE(family.fixed(family.at).name);
    const auto loss = [&](std::vector<double> at, size_t i, double move) {
      at[i] += move;
      return sum(sin(solve(f, start_state(), {0, 2},
                           {.method = family.fixed(at), .stepping = Steps{2}})
                         .y))
          .item();
    };
    std::vector<Tensors> found;
    StepPlans plans;
    for (int way = 0; way < 3; ++way) {
      Tensors watched = tensors(family.at);
      const size_t count = watched.size();
      const Solver solver{.method = family.trainable(watched), .stepping = Steps{2}};
      watched.push_back(weights[0]);
      Tape tape(watched);
      const Solution s = solve_differentiable(f, start_state(), {0, 2}, solver,
                                              way == 0 ? Gradient::through : Gradient::checkpointed,
                                              way == 2 ? &plans : nullptr);
      found.push_back(tape.gradient(sum(sin(s.y)), watched));
      for (size_t i = 0; i < count; ++i) {
        const double h = 1e-5;
        const double expected = (loss(family.at, i, h) - loss(family.at, i, -h)) / (2 * h);
        CHECK(std::abs(found.back()[i].item() - expected) < 1e-8);
        CHECK(std::abs(expected) > 1e-7);
      }
    }
    for (size_t i = 0; i < found[0].size(); ++i) {
      CHECK(found[0][i].values() == found[1][i].values());
      CHECK(found[0][i].values() == found[2][i].values());
    }
  }
}

TEST_CASE("trainable: an updated parameter counts from the next solve on, and poles are refused") {
  const Problem p = cosine_problem();
  const Tensor u = scalar(0.5, Dtype::f64);
  const Solver solver{.method = trainable_rk2(u), .stepping = Steps{4}};
  StepPlans plans;
  const auto value = [&] {
    return solve(p.field, p.y0, {0, 2}, solver, {.plans = &plans}).y.item();
  };
  const auto fixed = [&](double at) {
    return solve(p.field, p.y0, {0, 2}, {.method = rk2(at), .stepping = Steps{4}}).y.item();
  };
  CHECK(value() == doctest::Approx(fixed(0.5)).epsilon(1e-15));
  copy_into(u, scalar(0.8, Dtype::f64));
  CHECK(value() == doctest::Approx(fixed(0.8)).epsilon(1e-15));
  CHECK(plans.captures() == 1);
  copy_into(u, scalar(0, Dtype::f64));
  CHECK_THROWS_AS(value(), ValueError);
  CHECK_THROWS_AS(trainable_rk2(ones({2}, Dtype::f64)), ShapeError);
}

TEST_CASE("trainable: descends to the best member of a family") {
  // Of y' = y cos t in 4 steps, the error of rk2 as a function of u has its least between 0.5 and
  // 1; gradient descent finds it in float32 as in float64.
  const Problem p = cosine_problem();
  const double exact = p.solution(2)[0];
  const auto error = [&](double u) {
    return std::abs(
        solve(p.field, p.y0, {0, 2}, {.method = rk2(u), .stepping = Steps{4}}).y.item() - exact);
  };
  const Tensor u = scalar(0.5, Dtype::f64);
  for (int step = 0; step < 200; ++step) {
    const Solver solver{.method = trainable_rk2(u), .stepping = Steps{4}};
    const auto loss = [&](const Tensors&) {
      return square(sum(solve_differentiable(p.field, p.y0, {0, 2}, solver).y) - exact);
    };
    copy_into(u, u - 2.0 * value_and_grad(loss, {u}).gradient[0]);
  }
  CHECK(error(u.item()) < 0.2 * error(0.5));
}

TEST_CASE("families: the published clamping, by name") {
  // The rules of published_clamp, as the meta-solver code applies them.
  const double eps = kPublishedEps;
  CHECK(tableau("rk2-clamped", {{"u", -5}}).c[1] == eps);
  CHECK(tableau("rk2-clamped", {{"u", 3}}).name == "rk2,u=1");
  const Tableau equal = tableau("rk3-clamped", {{"u", 0.5}, {"v", 0.5}});
  CHECK(equal.c[2] == 0.5 + eps);
  CHECK(equal.b[0] == doctest::Approx(0.3333).epsilon(1e-3));  // as published: (1/3, -169.7, 170.3)
  CHECK(equal.b[1] == doctest::Approx(-169.7).epsilon(1e-3));
  CHECK(equal.b[2] == doctest::Approx(170.3).epsilon(1e-3));
  CHECK(tableau("rk3-clamped", {{"u", 1}, {"v", 1}}).c[2] == 1 - eps);
  const Tableau half = tableau("rk4-clamped", {{"u", 0.5}, {"v", 0.25}});
  CHECK(half.c[1] == doctest::Approx(0.50098).epsilon(1e-5));  // published: a32 = 32.06
  CHECK(half.a[2][1] == doctest::Approx(32.06).epsilon(1e-3));
  CHECK(tableau("rk4-clamped", {{"u1", 0}}).b[2] == eps);
  CHECK(tableau("rk4-clamped", {{"u", 0.3}, {"v", 0.6}}).name == "rk4,u=0.3,v=0.6");
  const FamilyParameters p = published_clamp("rk3", {.u = 0.5, .v = 0.5}, kPublishedEpsFloat64);
  CHECK(p.v == 0.5 + kPublishedEpsFloat64);
  CHECK_THROWS_AS(tableau("rk3-clamped", {{"u", 2. / 3}, {"v", 0.3}}), ValueError);
}
