// Optimisers: PyTorch's own trajectories, their state by name, and clipping.
#include "nn/optimizer.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/ops.h"
#include "core/storage.h"
#include "nn/checkpoint.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

TEST_CASE("optimizer: three steps of every optimiser are PyTorch's") {
  const std::string stem = test::source_dir() + "/tests/golden/ops";
  const auto cases = nlohmann::json::parse(std::ifstream(stem + ".json"));
  const Checkpoint golden = load_checkpoint(stem + ".safetensors");
  int count = 0;
  for (const auto& [name, entry] : cases.items()) {
    const std::string op = entry["op"];
    if (op != "sgd" && op != "adam" && op != "adamw" && op != "rmsprop") continue;
    CAPTURE(name);
    ++count;
    const auto& attributes = entry["attributes"];
    const double rate = attributes["lr"], momentum = attributes.value("momentum", 0.0);
    const OptimizerOptions options{.weight_decay = attributes["weight_decay"],
                                   .momentum = momentum > 0,
                                   .beta1 = attributes.value("beta1", 0.9),
                                   .beta2 = attributes.value("beta2", 0.999),
                                   .alpha = attributes.value("alpha", 0.99),
                                   .epsilon = attributes.value("eps", 1e-8)};
    const Tensor p = golden.find(name + "/in0").clone();
    const std::string word = attributes.value("nesterov", false) ? "nesterov" : op;
    const auto optimizer = make_optimizer(word, {{"p", p}}, options);
    CHECK(optimizer->name() == word);
    for (int64_t step = 1; step <= 3; ++step) {
      optimizer->step({golden.find(concat(name, "/in", step))},
                      optimizer->numbers(rate, momentum, step));
      check_close(p, golden.find(concat(name, "/out", step - 1)).values(), 1e-13);
    }
  }
  CHECK(count >= 10);
}

TEST_CASE("optimizer: several parameters, each with its own state, in place") {
  const Tensor a = tensor({1, 2}), b = tensor({3}, Dtype::f32);
  const void* place = a.data();
  const auto sgd = make_optimizer("sgd", {{"stem.a", a}, {"head.b", b}});
  REQUIRE(sgd->state().size() == 2);
  CHECK(sgd->state()[0].name == "momentum.stem.a");
  CHECK(sgd->state()[1].name == "momentum.head.b");
  CHECK(sgd->state()[0].tensor.values() == Values{0, 0});
  sgd->step({tensor({1, -1}), tensor({2})}, sgd->numbers(0.5, 0.75, 1));
  sgd->step({tensor({1, -1}), tensor({2})}, sgd->numbers(0.25, 0.5, 2));
  // velocity 1, then 0.5 * 1 + 1; the rates and momenta are those of the step
  CHECK(a.values() == Values{1 - 0.5 - 0.375, 2 + 0.5 + 0.375});
  CHECK(b.values() == Values{3 - 1 - 0.75});
  CHECK(sgd->state()[1].tensor.values() == Values{3});
  CHECK(a.data() == place);
}

TEST_CASE("optimizer: what each keeps") {
  const auto state_of = [](const std::string& name, bool momentum) {
    const auto optimizer =
        make_optimizer(name, {{"p", zeros({2}, Dtype::f64)}}, {.momentum = momentum});
    std::string names;
    for (const NamedTensor& s : optimizer->state()) {
      CHECK(describe(s.tensor) == "(2) float64");
      names += s.name + " ";
    }
    return names;
  };
  CHECK(state_of("sgd", true) == "momentum.p ");
  CHECK(state_of("sgd", false) == "");
  CHECK(state_of("adam", true) == "mean.p square.p ");
  CHECK(state_of("adamw", false) == "mean.p square.p ");
  CHECK(state_of("rmsprop", true) == "square.p momentum.p ");
  CHECK(state_of("rmsprop", false) == "square.p ");
}

TEST_CASE("optimizer: state that is written back continues to the bit") {
  const auto run = [](bool interrupted) {
    const Tensor p = mixed({7}, Dtype::f32);
    auto adam = make_optimizer("adam", {{"p", p}});
    for (int64_t step = 1; step <= 6; ++step) {
      if (interrupted && step == 4) {
        const auto old = std::move(adam);
        adam = make_optimizer("adam", {{"p", p}});
        for (size_t i = 0; i < 2; ++i) {
          copy_into(adam->state()[i].tensor, old->state()[i].tensor);
        }
      }
      adam->step({mixed({7}, Dtype::f32, step)}, adam->numbers(0.01, 0, step));
    }
    return p.values();
  };
  CHECK(run(true) == run(false));
}

// Each parameter as by an optimiser of its own with the group's numbers.
TEST_CASE("optimizer: groups have their own rate and weight decay") {
  const std::vector<std::pair<std::string, Shape>> shapes = {{"stem.conv1.weight", {2, 3}},
                                                             {"stem.conv1.bias", {2}},
                                                             {"head.norm.weight", {3}},
                                                             {"head.conv1.weight", {3, 2}}};
  for (const std::string name :
       {"sgd", "nesterov", "adam", "rmsprop", "sgdw", "nesterovw", "adamw", "rmspropw"}) {
    CAPTURE(name);
    std::vector<NamedTensor> grouped, alone;
    for (const auto& [path, shape] : shapes) {
      grouped.push_back({path, mixed(shape, Dtype::f64)});
      alone.push_back({path, mixed(shape, Dtype::f64)});
    }
    const auto together = make_optimizer(
        name, grouped,
        {.weight_decay = 0.1,
         .groups = {{.name = "vectors", .weight_decay = 0},
                    {.name = "stem.conv1", .rate = 0.5},         // its bias is taken already
                    {.name = "weight", .weight_decay = 0.3}}});  // the last one
    const double rates[] = {0.5, 1, 1, 1}, decays[] = {0.1, 0, 0, 0.3};
    std::vector<std::unique_ptr<Optimizer>> each;
    for (size_t i = 0; i < 4; ++i)
      each.push_back(make_optimizer(name, {alone[i]}, {.weight_decay = decays[i]}));
    for (int64_t step = 1; step <= 3; ++step) {
      Tensors gradients;
      for (const auto& [path, shape] : shapes) gradients.push_back(mixed(shape, Dtype::f64, step));
      together->step(gradients, together->numbers(0.25, 0.5, step));
      for (size_t i = 0; i < 4; ++i)
        each[i]->step({gradients[i]}, each[i]->numbers(0.25 * rates[i], 0.5, step));
    }
    for (size_t i = 0; i < 4; ++i) CHECK(grouped[i].tensor.values() == alone[i].tensor.values());
  }
}

// The weights are shrunk by the rate of the step times the decay, then the step is one without
// decay. With sgd and momentum: the formula of Loshchilov and Hutter 2019, written out.
TEST_CASE("optimizer: decoupled weight decay follows the rate and stays out of the state") {
  const double rates[] = {0.5, 0.25, 0.125}, decay = 0.1;
  for (const std::string name : {"sgd", "nesterov", "adam", "rmsprop"}) {
    CAPTURE(name);
    const Tensor p = mixed({5}, Dtype::f64), q = p.clone();
    const auto decoupled = make_optimizer(name + "w", {{"p", p}}, {.weight_decay = decay});
    const auto plain = make_optimizer(name, {{"p", q}});
    CHECK(decoupled->name() == name + "w");
    for (int64_t step = 1; step <= 3; ++step) {
      const double rate = rates[step - 1];
      const Tensor g = mixed({5}, Dtype::f64, step);
      decoupled->step({g}, decoupled->numbers(rate, 0.5, step));
      copy_into(q, q * (1 - rate * decay));
      plain->step({g}, plain->numbers(rate, 0.5, step));
      check_close(p, q.values(), 1e-15);
      for (size_t i = 0; i < plain->state().size(); ++i)
        check_close(decoupled->state()[i].tensor, plain->state()[i].tensor.values(), 1e-15);
    }
  }
  const Tensor p = tensor({2.0}, Dtype::f64);
  const auto sgdw = make_optimizer("sgdw", {{"p", p}}, {.weight_decay = decay});
  double expected = 2, velocity = 0;
  for (int64_t step = 1; step <= 3; ++step) {
    sgdw->step({tensor({3.0}, Dtype::f64)}, sgdw->numbers(rates[step - 1], 0.5, step));
    velocity = 0.5 * velocity + 3;
    expected -= rates[step - 1] * velocity + rates[step - 1] * decay * expected;
    CHECK(p.item() == doctest::Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("optimizer: what cannot be") {
  const Tensor p = zeros({2});
  CHECK(message_of<ValueError>([&] {
          make_optimizer("sdg", {{"p", p}});
        }) ==
        "optimizer: \"sdg\" is not one of sgd, nesterov, adam, rmsprop, or, with decoupled weight "
        "decay, sgdw, nesterovw, adamw, rmspropw.");
  CHECK(message_of<ValueError>([&] { make_optimizer("sgd", {}); }) ==
        "sgd: the model has no parameters.");
  CHECK(message_of<ValueError>([&] {
          make_optimizer("nesterov", {{"p", p}}, {.momentum = false});
        }) == "nesterov: needs a momentum. Set one, or take sgd.");
  CHECK(message_of<ValueError>([&] {
          make_optimizer("sgd", {{"conv10.weight", p}}, {.groups = {{.name = "conv1"}}});
        }) ==
        "group: no parameter is in conv1. Say vectors, or parts of a name such as "
        "conv10.weight.");
  const auto sgd = make_optimizer("sgd", {{"p", p}});
  CHECK(message_of<ValueError>([&] {
          sgd->step({p, p}, sgd->numbers(1, 0, 1));
        }) == "sgd: 1 parameters, but 2 gradients.");
}

TEST_CASE("clipped_by_norm: brings a long gradient to the limit and leaves a short one") {
  const Tensors gradients{tensor({3, 0}, Dtype::f64), tensor({-4}, Dtype::f64)};
  Tensor norm;
  const Tensors clipped = clipped_by_norm(gradients, 1, &norm);
  CHECK(norm.item() == 5);
  check_close(clipped[0], {0.6, 0}, 1e-6);
  check_close(clipped[1], {-0.8}, 1e-6);
  const Tensors kept = clipped_by_norm(gradients, 5.1);
  CHECK(kept[0].values() == gradients[0].values());
  CHECK(kept[1].values() == gradients[1].values());
  const Tensors zero = clipped_by_norm({zeros({2})}, 1);
  CHECK(zero[0].values() == Values{0, 0});
  CHECK(message_of<ValueError>([&] { clipped_by_norm(gradients, 0); }) ==
        "clip: the limit must be positive, got 0.");
}
