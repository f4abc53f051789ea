// Regularisers: the integrals of fields whose integrals are known, their gradients, the steps.
#include "ode/regularize.h"

#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "ode/gradient.h"
#include "ode/layer.h"
#include "ode/solver_word.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::ode;
using namespace slope::test;

namespace {

// y' = y A + t / 2. A: (2, 2)
Field linear_field(const Tensor& a) {
  return {.context = {a}, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
            return matmul(y, c[0]) + t * 0.5;
          }};
}
Field decay() {
  return {.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return -y; }};
}
Tensor matrix() { return tensor(std::vector<double>{-0.5, 1, 0.25, -0.75}, {2, 2}, Dtype::f64); }
Tensor start() { return tensor(std::vector<double>{1, 2, -0.5, 0.25, 3, -1}, {3, 2}, Dtype::f64); }

struct Found {
  Tensor end, penalty;
};
Found solved(const Field& field, const Tensor& y0, const Regularization& weights,
             const Tensors& keys, const std::string& solver,
             Gradient gradient = Gradient::checkpointed) {
  const RegularizedField problem = regularized_field(field, y0, weights, keys);
  const Solution s = solve_differentiable(problem.field, problem.y0, std::vector<double>{0, 1},
                                          parse_solver(solver), gradient);
  return {problem.end(s.ys.back()), problem.penalty(s.ys.back())};
}

// y' = tanh(y w) as a module.
class Block final : public FieldModule {
 public:
  explicit Block(double w)
      : w_(add_parameter("w", tensor(std::vector<double>{w}, Shape{1}, Dtype::f64))) {}
  std::string describe() const override { return "Block"; }
  Field field(const Shape&, nn::Pass&) const override {
    return {.context = {w_}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) {
              return tanh(y * c[0]);
            }};
  }

 private:
  Tensor w_;
};

// Any field as a module.
class AnyBlock final : public FieldModule {
 public:
  explicit AnyBlock(Field field) : field_(std::move(field)) {}
  std::string describe() const override { return "AnyBlock"; }
  Field field(const Shape&, nn::Pass&) const override { return field_; }

 private:
  Field field_;
};
struct Trained {
  std::shared_ptr<AnyBlock> block;  // its plans are used when the gradient is taken
  Tensor y, penalty;
  double evaluations = 0;
};
// A training pass through a block.
Trained trained(const Field& field, const Tensor& x, const Regularization& wish,
                const std::string& solver, BlockSettings settings = {.solver = {}},
                const Tensors& keys = {}) {
  const auto block = std::make_shared<AnyBlock>(field);
  std::vector<std::shared_ptr<Statistics>> solves;
  settings.solver = parse_solver(solver);
  settings.regularize = wish;
  settings.solves = &solves;
  nn::Pass pass{.training = true, .keys = keys};
  Trained result{.block = block, .y = solve_block(*block, x, pass, settings), .penalty = {}};
  for (const Tensor& p : pass.penalties)
    result.penalty = result.penalty.defined() ? result.penalty + p : p;
  for (const auto& s : solves) result.evaluations += static_cast<double>(s->evaluations);
  return result;
}
Tensor lengths(const Tensor& x) { return norm(x, {1}); }
Regularization steady(double weight, Steadiness::Form form) {
  return {.steady = {.weight = weight, .form = form}};
}

}  // namespace

TEST_CASE("regularize: without weights the problem is the field itself") {
  const Tensor y0 = start();
  CHECK(regularized_field(decay(), y0, {}, {}).y0.id() == y0.id());
  const Found found = solved(decay(), start(), {}, {}, "rk4:4");
  CHECK_FALSE(found.penalty.defined());
  CHECK(found.end.values() ==
        solve(decay(), start(), {0, 1}, parse_solver("rk4:4")).ys.back().values());
  CHECK(Regularization{}.none());
  CHECK(Regularization{}.keys() == 0);
}

// y = y0 e^-t: the integral of y'^2 is y0^2 (1 - e^-2) / 2.
TEST_CASE("regularize: the kinetic energy of a decay") {
  const double squares = (1 + 4 + 0.25 + 0.0625 + 9 + 1) / 6;
  for (const char* solver : {"rk4:32", "dopri5@1e-9"}) {
    CAPTURE(solver);
    const Found found = solved(decay(), start(), {.kinetic = 0.5}, {}, solver);
    CHECK(found.penalty.item() ==
          doctest::Approx(0.5 * squares * (1 - std::exp(-2)) / 2).epsilon(1e-7));
    check_close(found.end, (start() * std::exp(-1)).values(), 1e-7);
  }
}

// e^T df/dy is e A^T at all times and places.
TEST_CASE("regularize: the Jacobian of a linear field, and both integrals together") {
  const Tensor key = make_key(1, 2, 3);
  const Tensor e = normal(key, {3, 2}, Dtype::f64);
  const double expected = mean(square(matmul(e, transpose(matrix())))).item();
  const Field field = linear_field(matrix());
  const double jacobian = solved(field, start(), {.jacobian = 2}, {key}, "rk4:3").penalty.item();
  CHECK(jacobian == doctest::Approx(2 * expected).epsilon(1e-12));
  const double kinetic = solved(field, start(), {.kinetic = 1}, {}, "rk4:3").penalty.item();
  const Found both = solved(field, start(), {.kinetic = 3, .jacobian = 2}, {key}, "rk4:3");
  CHECK(both.penalty.item() == doctest::Approx(jacobian + 3 * kinetic).epsilon(1e-12));
  check_close(both.end, solve(field, start(), {0, 1}, parse_solver("rk4:3")).ys.back().values(),
              1e-14);

  // Over many directions the mean is the squared Frobenius norm over the number of values.
  double sum = 0;
  for (uint32_t i = 0; i < 400; ++i)
    sum += solved(field, start(), {.jacobian = 1}, {make_key(1, 2, i)}, "euler:1").penalty.item();
  CHECK(sum / 400 == doctest::Approx((0.25 + 1 + 0.0625 + 0.5625) / 2).epsilon(0.05));
}

TEST_CASE("regularize: the end time is drawn by the key, around 1") {
  double least = 9, largest = 0;
  for (uint32_t i = 0; i < 50; ++i) {
    const Tensor key = make_key(4, 5, i);
    const double end = 1 + 0.5 * (2 * uniform(key, {}, Dtype::f64).item() - 1);
    least = std::min(least, end), largest = std::max(largest, end);
    const Found found = solved(decay(), start(), {.kinetic = 1, .end_time = 0.5}, {key}, "rk4:32");
    check_close(found.end, (start() * std::exp(-end)).values(), 1e-6);
    const double squares = (1 + 4 + 0.25 + 0.0625 + 9 + 1) / 6;
    CHECK(found.penalty.item() ==
          doctest::Approx(squares * (1 - std::exp(-2 * end)) / 2).epsilon(1e-6));
  }
  CHECK(least < 0.6);
  CHECK(largest > 1.4);
  // The field sees the times up to that end: y' = t gives T^2 / 2.
  const Field clock{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return zeros_like(y) + t;
  }};
  const Tensor key = make_key(4, 5, 7);
  const double end = 1 + 0.25 * (2 * uniform(key, {}, Dtype::f64).item() - 1);
  const Found found = solved(clock, zeros({1, 1}, Dtype::f64), {.end_time = 0.25}, {key}, "rk4:2");
  CHECK(found.end.item() == doctest::Approx(end * end / 2).epsilon(1e-12));
}

TEST_CASE("regularize: gradients of all terms are those of central differences") {
  const Tensors keys = {make_key(1, 2, 3), make_key(1, 2, 4)};
  const Regularization integrals{.kinetic = 0.7, .jacobian = 0.3, .end_time = 0.2},
      steps{.error = 40, .stiffness = 0.5};
  const auto tanh_field = [](const Tensor& a) {
    return Field{.context = {a},
                 .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                   return tanh(matmul(y, c[0]) + t);
                 }};
  };
  const auto loss = [&](const Tensor& a, const Tensor& y0, Gradient gradient) {
    const Found found = solved(tanh_field(a), y0, integrals, keys, "rk4:2", gradient);
    const Walk walked = walk(tanh_field(a), y0, parse_solver("bosh3:3"), steps);
    return mean(square(found.end)) + found.penalty + walked.penalty + mean(walked.y1);
  };
  const Tensor a = matrix(), y0 = start();
  std::vector<Values> found;
  for (const Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
    Tape tape({a, y0});
    const Tensors d = tape.gradient(loss(a, y0, gradient), {a, y0});
    // By itself, since other uses of `a` are summed up in another order.
    Tape alone({a, y0});
    const Found f = solved(tanh_field(a), y0, integrals, keys, "rk4:2", gradient);
    found.push_back(alone.gradient(mean(square(f.end)) + f.penalty, {a})[0].values());
    const double h = 1e-5;
    const Tensor u = mixed({2, 2}, Dtype::f64), v = mixed({3, 2}, Dtype::f64);
    const auto at = [&](double s) { return loss(a + u * s, y0 + v * s, Gradient::through).item(); };
    CHECK((sum(d[0] * u) + sum(d[1] * v)).item() ==
          doctest::Approx((at(h) - at(-h)) / (2 * h)).epsilon(1e-6));
  }
  CHECK(found[0] == found[1]);
}

TEST_CASE("walk: the steps and bits of solve, and terms that are what they say") {
  const Field field = linear_field(matrix());
  for (const char* word : {"dopri5@1e-4", "bosh3:5", "heun2:3", "bosh3:h=0.3"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const Solution expected = solve(field, start(), {0, 1}, solver);
    const Walk walked = walk(field, start(), solver, {.stiffness = 1});
    CHECK(walked.y1.values() == expected.ys.back().values());
    CHECK(walked.statistics->accepted == expected.statistics->accepted);
    CHECK(walked.statistics->evaluations >= expected.statistics->evaluations);
    double stiffness = 0;
    const std::vector<double> grid = expected.grid;
    const Tensors ys = solve(field, start(), grid, Solver{solver.method, StepGrid{grid}}).ys;
    for (size_t i = 1; i < grid.size(); ++i) {
      const auto slope = [&](size_t at) {
        return field(tensor(std::vector<double>{grid[at]}, Shape{}, Dtype::f64), ys[at]);
      };
      stiffness += norm(slope(i) - slope(i - 1)).item() / norm(ys[i] - ys[i - 1]).item();
    }
    CHECK(walked.penalty.item() == doctest::Approx(stiffness).epsilon(1e-9));
  }
  // Of a decay the stiffness of small steps is 1 each; its error falls with the step size.
  CHECK(walk(decay(), start(), parse_solver("bosh3:64"), {.stiffness = 1}).penalty.item() ==
        doctest::Approx(64).epsilon(1e-2));
  const auto error = [](const char* word) {
    return walk(decay(), start(), parse_solver(word), {.error = 1}).penalty.item();
  };
  CHECK(error("bosh3:8") > 0);
  CHECK(error("bosh3:8") / error("bosh3:16") == doctest::Approx(8).epsilon(0.1));
  CHECK(walk(decay(), zeros_like(start()), parse_solver("bosh3:2"), {.stiffness = 1})
            .penalty.item() == 0);
}

TEST_CASE(
    "solve_block: in training the penalties of the pass, elsewhere none; keys for each block") {
  const Block block(0.8);
  const Tensor x = start();
  const Regularization wish{.kinetic = 1, .jacobian = 1, .end_time = 0.3};
  CHECK(key_count(block, wish) == 2);
  CHECK(key_count(block, {.kinetic = 1}) == 0);
  const auto solve_with = [&](BlockSettings settings, bool training) {
    nn::Pass pass{.training = training, .keys = {make_key(1, 2, 3), make_key(1, 2, 4)}};
    const Tensor y = solve_block(block, x, pass, settings);
    return std::pair{y, pass};
  };
  BlockSettings settings{.solver = parse_solver("bosh3:4"), .regularize = wish};
  const auto [trained, pass] = solve_with(settings, true);
  REQUIRE(pass.penalties.size() == 1);
  CHECK(pass.penalties[0].item() > 0);
  CHECK(pass.keys_used == 2);
  const auto [evaluated, none] = solve_with(settings, false);
  CHECK(none.penalties.empty());
  settings.regularize = {};
  CHECK(evaluated.values() == solve_with(settings, true).first.values());

  settings.regularize = {.kinetic = 1, .error = 1};
  CHECK(solve_with(settings, true).second.penalties.size() == 2);
  settings.gradient = Gradient::adjoint;
  CHECK(contains(message_of<ValueError>([&] { solve_with(settings, true); }),
                 "regularize: error and stiffness need --stepping shared"));
  // Steps per sample carry the integrals of each sample along.
  settings = {.solver = parse_solver("dopri5@1e-8"), .regularize = {.kinetic = 1, .jacobian = 1}};
  const double shared = solve_with(settings, true).second.penalties[0].item();
  settings.steps = BatchSteps::per_sample;
  CHECK(solve_with(settings, true).second.penalties[0].item() ==
        doctest::Approx(shared).epsilon(1e-6));
}

// y = y0 e^-t, so |f| is |y0| e^-t, the same sign all along.
TEST_CASE("steady-state loss: of a decay, in its forms, and the end of the solve is what it was") {
  using enum Steadiness::Form;
  const Tensor y0 = start();
  const double sum_of_lengths = sum(lengths(y0)).item();
  const auto between = [](double a, double b) { return std::exp(-a) - std::exp(-b); };
  for (const char* solver : {"rk4:32", "dopri5@1e-9", "rk4:h=0.03125", "tsit5@1e-9"}) {
    CAPTURE(solver);
    const Tensor plain = solve(decay(), y0, {0, 1}, parse_solver(solver)).ys.back();
    const Trained p = trained(decay(), y0, steady(0.1, paper), solver);
    CHECK(p.penalty.item() ==
          doctest::Approx(0.1 * sum_of_lengths / 3 * between(1, 2)).epsilon(1e-6));
    CHECK(p.y.values() == plain.values());
    const Trained d = trained(decay(), y0, steady(0.1, displacement), solver);
    CHECK(d.penalty.item() == doctest::Approx(p.penalty.item()).epsilon(1e-9));
    const Trained r = trained(decay(), y0, steady(0.01, released), solver);
    CHECK(r.penalty.item() ==
          doctest::Approx(0.01 * mean(abs(y0)).item() * between(0.9, 1.5)).epsilon(1e-6));
    check_close(r.y, plain.values(), 1e-6);
    BlockSettings own{.solver = {}, .steps = BatchSteps::per_sample};
    CHECK(trained(decay(), y0, steady(0.1, paper), solver, own).penalty.item() ==
          doctest::Approx(p.penalty.item()).epsilon(1e-6));
  }
  // What comes back again has moved all the same: the integral of |sin(2 pi t)| is 2 / pi.
  const Field there_and_back{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return zeros_like(y) + sin(t * (2 * 3.14159265358979323846));
  }};
  const Tensor x = zeros({4, 1}, Dtype::f64);
  CHECK(trained(there_and_back, x, steady(1, paper), "rk4:400").penalty.item() ==
        doctest::Approx(2 / 3.14159265358979323846).epsilon(1e-4));
  CHECK(trained(there_and_back, x, steady(1, displacement), "rk4:400").penalty.item() < 1e-9);
}

// The released code's grid: 0, 0.9, 1, 1.5 by Euler steps of 0.05.
TEST_CASE("steady-state loss: as computed step by step") {
  using enum Steadiness::Form;
  const Tensor a = matrix();
  const auto f = [&](const Tensor& y, double t) { return tanh(matmul(y, a) + t); };
  const Field field{.context = {a},
                    .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                      return tanh(matmul(y, c[0]) + t);
                    }};
  Tensor y = start(), at_1, integral = zeros_like(y);
  for (int i = 0; i < 30; ++i) {
    const Tensor slope = f(y, 0.05 * i);
    if (i >= 18) integral = integral + abs(slope) * 0.05;
    y = y + slope * 0.05;
    if (i == 19) at_1 = y;
  }
  for (const char* solver : {"euler:h=0.05", "euler:20"}) {
    CAPTURE(solver);
    const Trained r = trained(field, start(), steady(0.01, released), solver);
    CHECK(r.penalty.item() == doctest::Approx(0.01 * mean(integral).item()).epsilon(1e-12));
    check_close(r.y, at_1.values(), 1e-13);
    CHECK(r.evaluations == 30);
  }
  y = start(), integral = zeros_like(y);
  for (int i = 0; i < 20; ++i) {
    const Tensor slope = f(y, 0.1 * i);
    if (i >= 10) integral = integral + abs(slope) * 0.1;
    y = y + slope * 0.1;
  }
  const Trained p = trained(field, start(), steady(0.1, paper), "euler:10");
  CHECK(p.penalty.item() == doctest::Approx(0.1 * mean(lengths(integral)).item()).epsilon(1e-12));
  CHECK(p.evaluations == 20);
}

TEST_CASE("steady-state loss: its gradient, with every other term, is that of differences") {
  using enum Steadiness::Form;
  const Tensors keys = {make_key(1, 2, 3), make_key(1, 2, 4)};
  const Tensor a = matrix(), y0 = start();
  const Tensor u = mixed({2, 2}, Dtype::f64), v = mixed({3, 2}, Dtype::f64);
  const auto loss = [&](const Tensor& w, const Tensor& x, Steadiness::Form form, bool steps,
                        Gradient gradient, std::shared_ptr<AnyBlock>* kept) {
    const Field field{.context = {w},
                      .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                        return tanh(matmul(y, c[0]) + t);
                      }};
    Regularization wish{.kinetic = 0.7, .jacobian = 0.3, .end_time = 0.2};
    if (steps) wish.error = 40, wish.stiffness = 0.5;
    wish.steady = {.weight = 2, .form = form};
    const Trained r =
        trained(field, x, wish, "bosh3:3", {.solver = {}, .gradient = gradient}, keys);
    *kept = r.block;
    return mean(square(r.y)) + r.penalty;
  };
  std::shared_ptr<AnyBlock> block;
  for (const Steadiness::Form form : {paper, released, displacement}) {
    for (const bool steps : {false, true}) {
      CAPTURE(static_cast<int>(form));
      CAPTURE(steps);
      for (const Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
        Tape tape({a, y0});
        const Tensors d = tape.gradient(loss(a, y0, form, steps, gradient, &block), {a, y0});
        const auto at = [&](double s) {
          return loss(a + u * s, y0 + v * s, form, steps, Gradient::through, &block).item();
        };
        const double h = 1e-5;
        CHECK((sum(d[0] * u) + sum(d[1] * v)).item() ==
              doctest::Approx((at(h) - at(-h)) / (2 * h)).epsilon(1e-6));
      }
    }
  }
  // A state that rests has no direction to move in, and no gradient: not one that is not a number.
  const Tensor rest = zeros({2, 2}, Dtype::f64);
  Tape tape({rest});
  const Trained resting = trained(decay(), rest, steady(1, paper), "rk4:2");
  CHECK(tape.gradient(resting.penalty, {rest})[0].values() == Values{0, 0, 0, 0});
}

TEST_CASE("steady-state loss: begins after some epochs; its words") {
  const Regularization r =
      parse_regularization("kinetic=1,steady=0.01,steady-form=released,steady-after=5");
  CHECK(r.steady.form == Steadiness::Form::released);
  CHECK(r.in_epoch(4).steady.weight == 0);
  CHECK(r.in_epoch(4).kinetic == 1);
  CHECK(r.in_epoch(5).steady.weight == 0.01);
  CHECK(r.penalizes());
  CHECK_FALSE(r.in_epoch(0).none());
  CHECK(parse_regularization("steady=0.1").steady.form == Steadiness::Form::paper);
  const auto refusal = [](const std::string& words) {
    return message_of<ValueError>([&] { parse_regularization(words); });
  };
  CHECK(contains(refusal("steady=0.1,steady-form=mine"), "no steady-form mine"));
  CHECK(contains(refusal("steady-form=paper"), "add steady=0.1"));
  CHECK(contains(refusal("steady=0.1,steady-after=1.5"), "a whole number of epochs, got 1.5"));
  CHECK(refusal("steady=-1") == "regularize: steady must be 0 or more, got -1.");
}

TEST_CASE("regularize: words") {
  const Regularization r =
      parse_regularization("kinetic=0.01,jacobian=1/8,end-time=0.5,error=2,stiffness=3");
  CHECK(r.kinetic == 0.01);
  CHECK(r.jacobian == 0.125);
  CHECK(r.end_time == 0.5);
  CHECK(r.error == 2);
  CHECK(r.stiffness == 3);
  CHECK(parse_regularization("").none());
  const auto refusal = [](const std::string& words) {
    return message_of<ValueError>([&] { parse_regularization(words); });
  };
  CHECK(contains(refusal("energy=1"), "\"energy=1\" is none of kinetic=W"));
  CHECK(contains(refusal("kinetic"), "\"kinetic\" is none of"));
  CHECK(refusal("kinetic=-1") == "regularize: kinetic must be 0 or more, got -1.");
  CHECK(refusal("error=x") == "regularize: error must be 0 or more, got x.");
  CHECK(refusal("end-time=1") == "regularize: end-time must be below 1, got 1.");
  const auto walking = [](const char* word) {
    return message_of<ValueError>(
        [&] { walk(decay(), start(), parse_solver(word), {.error = 1}); });
  };
  CHECK(contains(walking("rk4:2"), "rk4 does not. Choose bosh3"));
  CHECK(contains(walking("explicit_adams:4"), "need an explicit Runge-Kutta method"));
}
