// The published networks: golden sizes, names, words; statistics of batch norm inside a field.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/models/classifier.h"
#include "apps/models/exchange.h"
#include "autograd/tape.h"
#include "core/ops.h"
#include "core/storage.h"
#include "nn/checkpoint.h"
#include "nn/data/loader.h"
#include "nn/data/spheres.h"
#include "nn/sequential.h"
#include "nn/train.h"
#include "ode/solver_word.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::models;
using namespace slope::test;

namespace {

std::unique_ptr<Classifier> model_of(const std::string& word, uint64_t seed = 1,
                                     const nn::ParameterOptions& options = {}) {
  Rng rng(seed);
  return make_model(word, nullptr, rng, options);
}

ode::BlockSettings euler(int64_t steps) {
  return {.solver = ode::parse_solver(concat("euler:", steps))};
}

std::string names(const std::vector<nn::NamedTensor>& tensors) {
  std::string all;
  for (const nn::NamedTensor& t : tensors) all += (all.empty() ? "" : " ") + t.name;
  return all;
}

}  // namespace

TEST_CASE("models: parameter counts") {
  const std::pair<std::string, int64_t> golden[] = {{"odenet-mnist", 208'266},
                                                    {"odenet-mnist,downsampling=res", 232'970},
                                                    {"odenet-cifar", 234'122},
                                                    {"resnet-mnist", 576'778},
                                                    {"resnet-mnist,downsampling=res", 601'482},
                                                    {"rknet-mnist", 208'138},
                                                    {"tisode-mnist", 141'130},
                                                    {"tisode-mnist,block=ode", 142'410},
                                                    {"tisode-mnist,block=cnn", 141'130},
                                                    {"cnn-mnist", 166'406},
                                                    {"metanode4", 76'106},
                                                    {"metanode4,norm=bn", 76'490},
                                                    {"metanode6,norm=gn", 150'474},
                                                    {"metanode10,norm=ln", 676'682},
                                                    {"metanode18,norm=bn", 11'173'962},
                                                    {"metanode34,norm=bn", 21'282'122},
                                                    {"premetanode4", 76'106},
                                                    {"premetanode6", 149'834},
                                                    {"premetanode10", 674'762},
                                                    {"premetanode10,norm=in", 674'762},
                                                    {"premetanode10,norm=bn", 676'298},
                                                    {"premetanode18", 11'164'362},
                                                    {"premetanode18,norm=gn", 11'171'274},
                                                    {"premetanode34", 21'265'098},
                                                    {"premetanode34,norm=ln", 21'279'434},
                                                    {"odenet-pixels", 179'213},
                                                    {"odenet10-ln", 676'682},
                                                    {"node18", 11'173'962},
                                                    {"preactresnet18", 11'172'170},
                                                    {"spheres-mlp,depth=2", 1'224},
                                                    {"spheres-mlp", 168},
                                                    {"spheres-conv", 3'207}};
  for (const auto& [word, count] : golden) {
    CAPTURE(word);
    CHECK(model_of(word, 1, {.shapes_only = true})->parameter_count() == count);
    if (!contains(word, "metanode")) continue;
    const auto residual = model_of(word + ",block=residual", 1, {.shapes_only = true});
    CHECK(residual->parameter_count() == count);
    CHECK(!residual->has_ode());
  }
}

TEST_CASE("models: names and order of parameters and buffers") {
  // Those of odenet-mnist are compared with PyTorch's in the parity test.
  CHECK(names(model_of("rknet-mnist")->named_parameters()) ==
        "conv1.weight conv1.bias norm1.weight norm1.bias conv2.weight conv2.bias norm2.weight "
        "norm2.bias conv3.weight conv3.bias norm3.weight norm3.bias ode.conv1.weight "
        "ode.conv1.bias ode.norm1.weight ode.norm1.bias ode.conv2.weight ode.conv2.bias "
        "ode.norm2.weight ode.norm2.bias linear.weight linear.bias");
  CHECK(names(model_of("rknet-mnist")->named_buffers()) ==
        "norm1.running_mean norm1.running_var norm2.running_mean norm2.running_var "
        "norm3.running_mean norm3.running_var ode.norm1.running_mean ode.norm1.running_var "
        "ode.norm2.running_mean ode.norm2.running_var");
  CHECK(names(model_of("spheres-mlp,depth=2")->named_parameters()) ==
        "ode.linear1.weight ode.linear1.bias ode.linear2.weight ode.linear2.bias "
        "ode.linear3.weight ode.linear3.bias linear.weight linear.bias");
  const auto res = model_of("odenet-mnist,downsampling=res");
  CHECK(contains(names(res->named_parameters()),
                 "stem.conv1.bias stem.block1.norm1.weight stem.block1.norm1.bias "
                 "stem.block1.shortcut.weight stem.block1.conv1.weight stem.block1.norm2.weight "
                 "stem.block1.norm2.bias stem.block1.conv2.weight stem.block2.norm1.weight"));
  CHECK(names(res->named_buffers()) == "");
  CHECK(names(model_of("tisode-mnist,block=cnn")->named_parameters()) ==
        "stem.conv1.weight stem.conv1.bias stem.norm1.weight stem.norm1.bias stem.conv2.weight "
        "stem.conv2.bias stem.norm2.weight stem.norm2.bias block.conv1.weight block.norm1.weight "
        "block.norm1.bias block.conv2.weight block.norm2.weight block.norm2.bias linear.weight "
        "linear.bias");
  CHECK(names(model_of("premetanode10")->named_parameters()) ==
        "stem.conv.weight layer1.residual1.conv1.weight layer1.residual1.conv2.weight "
        "layer1.ode1.conv1.weight layer1.ode1.conv2.weight layer2.residual1.shortcut.weight "
        "layer2.residual1.conv1.weight layer2.residual1.conv2.weight layer2.ode1.conv1.weight "
        "layer2.ode1.conv2.weight linear.weight linear.bias");
}

TEST_CASE("models: every one in the list maps its samples to logits, and gradients flow") {
  for (const ModelEntry& entry : model_list()) {
    CAPTURE(entry.name);
    // The wide networks as narrow ones on small images: what is tested is how they are wired.
    const bool wide = entry.data == "cifar10";
    const InputFacts facts = wide ? InputFacts{{8, 8, 3}, 10} : entry.facts;
    const bool has_width = wide && entry.name != "odenet-cifar";
    Shape shape{3};
    for (int64_t n : facts.sample) shape.push_back(n);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      Rng rng(1);
      const auto model =
          make_model(entry.name + (has_width ? ",width=4" : ""), &facts, rng, {.dtype = dtype});
      CHECK(model->word() == entry.name + (has_width ? ",width=4" : ""));
      const Tensors parameters = model->parameters();
      nn::Pass evaluation, training{.training = true};
      for (int64_t i = 0; i < model->key_count(); ++i) training.keys.push_back(rng.next_key());
      const Tensor x = mixed(shape, dtype);
      const Tensor y = model->logits(x, evaluation, euler(1));
      CHECK(y.shape() == Shape{3, entry.facts.classes});
      CHECK(y.dtype() == dtype);
      for (double v : y.values()) CHECK(std::isfinite(v));

      Tape tape(parameters);
      const Tensors gradients =
          tape.gradient(sum(square(model->logits(x, training, euler(1)))), parameters);
      const auto all = model->named_parameters();
      for (size_t i = 0; i < gradients.size(); ++i) {
        CAPTURE(all[i].name);
        const double largest = max(abs(gradients[i])).item();
        CHECK(std::isfinite(largest));
        // Batch norm takes out what a bias before it adds.
        if (entry.name == "rknet-mnist" && contains(all[i].name, "conv") &&
            all[i].name.ends_with("bias"))
          continue;
        CHECK(largest > 0);
      }
    }
  }
}

TEST_CASE("metanode: its kinds of norm, and residual blocks in place of the ODE blocks") {
  const InputFacts facts{{8, 8, 3}, 10};
  for (const char* depth : {"4", "10"}) {
    for (const char* pre : {"", "pre"}) {
      std::vector<Values> different;
      for (const char* norm : {"nf", "bn", "gn", "ln", "in"}) {
        for (const char* block : {"ode", "residual"}) {
          const std::string word = concat(pre, "metanode", depth, ",norm=", norm, ",block=", block);
          CAPTURE(word);
          Rng rng(1);
          const auto model = make_model(word, &facts, rng, {.dtype = Dtype::f64});
          nn::Pass pass;
          const Tensor y = model->logits(mixed({2, 8, 8, 3}, Dtype::f64), pass, euler(2));
          for (double v : y.values()) CHECK(std::isfinite(v));
          CHECK(std::find(different.begin(), different.end(), y.values()) == different.end());
          different.push_back(y.values());
        }
      }
    }
  }
}

TEST_CASE("models: pixels are normalised inside, so that they may be attacked in [0, 1]") {
  Rng rng(1);
  const InputFacts facts{{8, 8, 3}, 10};
  const auto model = make_model("premetanode4,width=4", &facts, rng, {.dtype = Dtype::f64});
  const Tensor x = mixed({1, 8, 8, 3}, Dtype::f64);
  const nn::Normalize normalize({0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010});
  const auto& children = model->children();
  REQUIRE(children[0].first == "normalize");
  const auto& layer = dynamic_cast<const nn::Layer&>(*children[0].second);
  CHECK(layer(x).values() == normalize(x).values());
  CHECK(normalize(full({1, 1, 1, 3}, 0.5, Dtype::f64)).values()[1] ==
        doctest::Approx((0.5 - 0.4822) / 0.1994));
}

TEST_CASE("models: the seed decides the initial values") {
  const auto values = [](uint64_t seed) { return model_of("odenet-mnist", seed)->parameters(); };
  const Tensors a = values(1), same = values(1), other = values(2);
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i].values() == same[i].values());
  CHECK(a[0].values() != other[0].values());
}

TEST_CASE("models: other data of the same rank") {
  Rng rng(1);
  const InputFacts photos{{32, 32, 3}, 7}, space{{5}, 3};
  const auto model = make_model("odenet-mnist", &photos, rng);
  nn::Pass pass;
  CHECK(model->logits(mixed({2, 32, 32, 3}, Dtype::f32), pass, euler(1)).shape() == Shape{2, 7});
  const auto points = make_model("spheres-mlp", &space, rng);
  CHECK(points->logits(mixed({2, 5}, Dtype::f32), pass, euler(1)).shape() == Shape{2, 3});
  CHECK(message_of<ValueError>([&] { make_model("odenet-mnist", &space, rng); }) ==
        "model: odenet-mnist is made for samples like (28, 28, 1) (mnist), the data has (5).");
}

TEST_CASE("models: words") {
  CHECK(model_of("spheres-mlp,depth=2,width=32,activation=tanh")->word() ==
        "spheres-mlp,depth=2,activation=tanh");
  CHECK(model_of("odenet-mnist,downsampling=conv")->word() == "odenet-mnist");
  const auto refusal = [](const std::string& word) {
    return message_of<ValueError>([&] { model_of(word); });
  };
  CHECK(refusal("odnet-mnist") ==
        "model: there is no model odnet-mnist. Did you mean odenet-mnist? All of them: slope info "
        "models.");
  CHECK(refusal("spheres-mlp,dept=2") ==
        "model: spheres-mlp has no option dept. Did you mean depth?");
  CHECK(refusal("spheres-mlp,depth=0") ==
        "model: spheres-mlp: depth must be a whole number of at least 1, got \"0\".");
  CHECK(refusal("spheres-mlp,depth=2.5") ==
        "model: spheres-mlp: depth must be a whole number of at least 1, got \"2.5\".");
  CHECK(refusal("odenet-mnist,activation=swish") ==
        "model: odenet-mnist: activation must be one of relu, softplus, gelu, tanh, got "
        "\"swish\".");
  CHECK(refusal("spheres-mlp,depth") == "model: \"depth\" in spheres-mlp,depth is not name=value.");
  CHECK(refusal("spheres-mlp,depth=1,depth=2") ==
        "model: depth is given twice in spheres-mlp,depth=1,depth=2.");
}

TEST_CASE("models: an error of a layer names its place in the network") {
  const auto model = model_of("odenet-mnist");
  nn::Pass pass;
  const std::string text = message_of<ShapeError>([&] {
    model->logits(zeros({1, 28, 28, 3}), pass, euler(1));
  });
  CHECK(text.ends_with("\n  in stem.conv1 (Conv2d 1->64, 3x3)"));
}

namespace {

// The updates of one training pass of rknet-mnist and its gradient, on four images.
nn::Pass training_pass(const Classifier& model, ode::Gradient gradient) {
  ode::BlockSettings settings = euler(3);
  settings.gradient = gradient;
  nn::Pass pass{.training = true};
  const Tensors parameters = model.parameters();
  Tape tape(parameters);
  const Tensor logits = model.logits(mixed({4, 28, 28, 1}, Dtype::f64), pass, settings);
  const size_t after_forward = pass.updates.size();
  tape.gradient(sum(square(logits)), parameters);
  CHECK(pass.updates.size() == after_forward);  // computing a step again is no update
  return pass;
}

}  // namespace

TEST_CASE("rknet-mnist: every evaluation of the field moves the running statistics once") {
  const auto model = model_of("rknet-mnist", 1, {.dtype = Dtype::f64});
  const nn::Pass pass = training_pass(*model, ode::Gradient::checkpointed);
  // Three norms of the stem, then two norms in each of three evaluations; mean before variance.
  const Tensors buffers = model->buffers();
  std::vector<size_t> expected{0, 1, 2, 3, 4, 5};
  for (int i = 0; i < 3; ++i) expected.insert(expected.end(), {6, 7, 8, 9});
  REQUIRE(pass.updates.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(pass.updates[i].buffer.id() == buffers[expected[i]].id());
  }
  // A batch whose statistics did not change would move them by 0.1 of what is left to go; each
  // update starts from the one before, so the variance keeps 0.9, 0.81, 0.729 of its initial 1 and
  // is never below that.
  for (size_t evaluation = 0; evaluation < 3; ++evaluation) {
    const Tensor& variance = pass.updates[7 + 4 * evaluation].value;
    const double kept = std::pow(0.9, static_cast<double>(evaluation + 1));
    CHECK(min(variance).item() >= kept);
    CHECK(min(variance).item() < kept + 0.5);
  }
  for (const Tensor& b : buffers) CHECK(max(abs(b)).item() == min(abs(b)).item());  // untouched

  const nn::Pass through = training_pass(*model, ode::Gradient::through);
  REQUIRE(through.updates.size() == pass.updates.size());
  for (size_t i = 0; i < pass.updates.size(); ++i) {
    CHECK(through.updates[i].value.values() == pass.updates[i].value.values());
  }
  nn::Pass evaluation;
  model->logits(mixed({4, 28, 28, 1}, Dtype::f64), evaluation, euler(3));
  CHECK(evaluation.updates.empty());
}

TEST_CASE("steps per sample: an image's logits do not depend on its batch-mates, to the bit") {
  for (const char* word : {"odenet-mnist", "rknet-mnist"}) {
    CAPTURE(std::string(word));
    const auto model = model_of(word);
    const ode::BlockSettings settings{.solver = ode::parse_solver("dopri5@1e-3"),
                                      .steps = ode::BatchSteps::per_sample};
    const auto logits = [&](const Tensor& x) {
      nn::Pass pass;
      return model->logits(x, pass, settings);
    };
    const Tensor images = mixed({5, 28, 28, 1}, Dtype::f32);
    const Tensor together = logits(images);
    for (int64_t i = 0; i < 5; ++i) {
      const Tensor alone = logits(copy(slice(images, 0, i, i + 1)));
      CHECK(slice(together, 0, i, i + 1).values() == alone.values());
    }
  }
}

TEST_CASE("steps per sample: BatchNorm in training couples the batch, and is refused") {
  const auto model = model_of("rknet-mnist");
  nn::Pass pass{.training = true};
  const auto solve = [&] {
    model->logits(
        mixed({2, 28, 28, 1}, Dtype::f32), pass,
        {.solver = ode::parse_solver("dopri5@1e-3"), .steps = ode::BatchSteps::per_sample});
  };
  CHECK_THROWS_WITH_AS(
      solve(), doctest::Contains("collects statistics of the batch (BatchNorm in training)"),
      ValueError);
}

TEST_CASE("rknet-mnist: a training step writes the statistics, planned and eager alike") {
  std::vector<std::vector<Values>> found;
  for (const bool plan : {false, true}) {
    const auto model = model_of("rknet-mnist");
    const ode::BlockSettings settings = euler(2);
    const auto optimizer = nn::make_optimizer("sgd", model->named_parameters());
    nn::TrainStep step(
        [&](const Tensor& x, nn::Pass& pass) { return model->logits(x, pass, settings); },
        *optimizer, {.plan = plan});
    const Tensor labels = from_host(std::vector<int32_t>{1, 2, 3, 4}, {4});
    for (int64_t number = 1; number <= 2; ++number) {
      step(mixed({4, 28, 28, 1}, Dtype::f32, number), labels,
           optimizer->numbers(0.01, 0.9, number));
    }
    found.emplace_back();
    for (const Tensor& t : model->parameters()) found.back().push_back(t.values());
    for (const Tensor& t : model->buffers()) found.back().push_back(t.values());
    CHECK(max(abs(model->buffers().back() - 1.0)).item() > 0.01);
  }
  for (size_t i = 0; i < found[0].size(); ++i) CHECK(found[0][i] == found[1][i]);
}

TEST_CASE("spheres-mlp: training separates the shells, adaptively and with fixed steps") {
  const nn::Dataset data = nn::spheres({.size = 400, .seed = 1});
  for (const std::string solver : {"rk4:2", "dopri5@1e-2"}) {
    CAPTURE(solver);
    const auto model = model_of("spheres-mlp");
    const ode::BlockSettings settings{.solver = ode::parse_solver(solver)};
    const auto optimizer = nn::make_optimizer("adam", model->named_parameters());
    nn::TrainStep step(
        [&](const Tensor& x, nn::Pass& pass) { return model->logits(x, pass, settings); },
        *optimizer, {.plan = solver == "rk4:2"});
    nn::Loader loader(data, 100, true, 1);
    double first = 0, last = 0;
    int64_t number = 0;
    for (int64_t epoch = 0; epoch < 60; ++epoch) {
      loader.start(epoch);
      last = 0;
      for (nn::Batch batch; loader.next(&batch);) {
        last += step(batch.x, batch.labels, optimizer->numbers(0.01, 0, ++number)).loss / 4;
      }
      if (epoch == 0) first = last;
    }
    CHECK(first > 0.65);  // about log 2: it guesses
    CHECK(last < 0.5);
  }
}
