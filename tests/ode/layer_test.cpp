// An ODE block as a module: weights by name, one field per solve, plans kept with the module.
#include "ode/layer.h"

#include <doctest/doctest.h>

#include "autograd/functions.h"
#include "core/plan.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "nn/train.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

// y' = tanh(y w^T + t m), where m = sum of a row of the time weights is made once per solve.
class TanhField final : public FieldModule {
 public:
  TanhField() {
    const Tensors w = small_weights(3, 3);
    weight_ = add_parameter("weight", w[0]);
    time_weight_ = add_parameter("time_weight", w[2]);
  }
  Field field(const Shape&, nn::Pass&) const override {
    ++fields;
    return {.context = {weight_, sum(time_weight_, {0})},
            .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
              return tanh(linear(y, c[0]) + t * c[1]);
            }};
  }
  std::string describe() const override { return "TanhField"; }
  mutable int fields = 0;

 private:
  Tensor weight_, time_weight_;
};

}  // namespace

TEST_CASE("layer: solves, differentiates through what was made for the solve, keeps its plans") {
  TanhField module;
  const Tensor x = tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, Dtype::f64);
  for (const char* word : {"rk4:3", "dopri5@1e-4"}) {
    std::vector<Tensors> found;
    for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
      for (bool plans : {false, true}) {
        nn::Pass pass{.training = true};
        std::vector<std::shared_ptr<Statistics>> solves;
        const Tensors weights = module.parameters();
        Tape tape(weights);
        const Tensor y = solve_block(module, x, pass,
                                     {.solver = parse_solver(word),
                                      .gradient = gradient,
                                      .plans = plans,
                                      .solves = &solves});
        found.push_back(tape.gradient(sum(square(y)), weights));
        REQUIRE(solves.size() == 1);
        CHECK(solves[0]->evaluations > 0);
        CHECK((solves[0]->evaluations_backward > 0) == (gradient == Gradient::checkpointed));
      }
    }
    for (const Tensors& d : found) {
      REQUIRE(d.size() == 2);
      CHECK(norm(d[1]).item() > 1e-3);  // through the sum that stands in the context
      for (size_t i = 0; i < 2; ++i) CHECK(d[i].values() == found[0][i].values());
    }
  }
  CHECK(module.fields == 8);
  CHECK(module.step_plans(true).captures() > 0);
  CHECK(module.step_plans(false).captures() == 0);
}

TEST_CASE("layer: OdeLayer stands among other layers, in a Sequential") {
  Rng rng(2);
  const nn::ParameterOptions in_double{.dtype = Dtype::f64};
  nn::Sequential net;
  net.add("linear", std::make_unique<nn::Linear>(
                        nn::LinearOptions{.in = 2, .out = 3, .parameters = in_double}, rng));
  std::vector<std::shared_ptr<Statistics>> solves;
  auto block = std::make_unique<OdeLayer>(
      std::make_unique<TanhField>(),
      BlockSettings{.solver = parse_solver("rk4:3"),
                    .regularize = parse_regularization("kinetic=0.5,jacobian=0.1"),
                    .solves = &solves});
  const OdeLayer& ode = *block;
  net.add("ode", std::move(block));
  CHECK(ode.describe() == "OdeLayer rk4:3");
  std::vector<std::string> names;
  for (const nn::NamedTensor& p : net.named_parameters()) names.push_back(p.name);
  CHECK(names == std::vector<std::string>{"linear.weight", "linear.bias", "ode.field.weight",
                                          "ode.field.time_weight"});

  // As by hand, with its gradients.
  const Tensor x = tensor({0.5, -0.3, 0.8, 0.1}, {2, 2}, Dtype::f64);
  const Tensors weights = net.parameters();
  Tape tape(weights);
  nn::Pass pass;
  const Tensor y = net.forward(x, pass);
  const Tensor by_hand = solve_block(ode.field(), linear(x, weights[0], weights[1]), pass,
                                     {.solver = parse_solver("rk4:3")});
  CHECK(y.values() == by_hand.values());
  CHECK(solves.size() == 1);
  const Tensors d = tape.gradient(sum(square(y)), weights),
                expected = tape.gradient(sum(square(by_hand)), weights);
  for (size_t i = 0; i < d.size(); ++i) CHECK(d[i].values() == expected[i].values());

  // Its regularisers' keys are asked for as dropout's are.
  REQUIRE(net.key_count() == 1);
  nn::Pass training{.training = true, .keys = nn::step_keys(3, net.key_count(), 0)};
  net.forward(x, training);
  CHECK(training.penalties.size() == 1);
}

TEST_CASE("layer: a solve that fails is an error with the place of the module") {
  TanhField module;
  nn::Pass pass;
  const Tensor x = tensor({NAN, 0, 0}, {1, 3}, Dtype::f64);
  try {
    solve_block(module, x, pass, {.solver = parse_solver("rk4:3")});
    FAIL("no error");
  } catch (const SolveError& error) {
    CHECK(std::string(error.what()) ==
          "solve: the state at t = 0 is not finite (from 0 to 1; 0 accepted, 0 rejected). Try "
          "smaller steps.\n  in TanhField");
  }
}

TEST_CASE("layer: steps per sample give each row what it gets alone, forward and backward") {
  TanhField module;
  const Tensor x = tensor({0.5, -0.3, 0.8, 4.1, 1.2, -6.7}, {2, 3}, Dtype::f64);
  BlockSettings settings{.solver = parse_solver("dopri5@1e-5"), .steps = BatchSteps::per_sample};
  std::vector<std::shared_ptr<Statistics>> solves;
  settings.solves = &solves;
  const auto run = [&](const Tensor& rows, bool plans) {
    settings.plans = plans;
    nn::Pass pass{.training = true};
    Tape tape({rows});
    const Tensor y = solve_block(module, rows, pass, settings);
    return Tensors{y, tape.gradient(sum(square(y)), {rows})[0]};
  };
  const Tensors together = run(x, false);
  CHECK(solves.back()->samples == 2);
  CHECK(solves.back()->evaluations_backward > 0);
  for (bool plans : {false, true}) {
    for (int64_t i : {0, 1}) {
      const Tensors alone = run(copy(slice(x, 0, i, i + 1)), plans);
      CHECK(slice(together[0], 0, i, i + 1).values() == alone[0].values());
      CHECK(slice(together[1], 0, i, i + 1).values() == alone[1].values());
    }
  }
  // Fixed steps are shared anyway.
  settings.solver = parse_solver("rk4:3");
  run(x, true);
  CHECK(solves.back()->samples == 1);
  CHECK(parse_batch_steps("per-sample") == BatchSteps::per_sample);
  CHECK(std::string(name(BatchSteps::shared)) == "shared");
  CHECK_THROWS_AS(parse_batch_steps("own"), ValueError);
}

TEST_CASE("layer: warnings of the solve are collected, each once") {
  TanhField module;
  const Tensor x = ones({1, 3}, Dtype::f64);
  std::vector<std::string> warnings;
  for (BatchSteps steps : {BatchSteps::shared, BatchSteps::per_sample}) {
    nn::Pass pass;
    Solver solver = parse_solver("dopri5@1e-16");
    std::get<Adaptive>(solver.stepping).min_step = 0.1;
    solve_block(module, x, pass, {.solver = solver, .steps = steps, .warnings = &warnings});
  }
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("the tolerance is below rounding") != std::string::npos);
}
