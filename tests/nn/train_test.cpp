// Training and evaluation steps: what they compute, the plans they keep, the buffers they write.
#include "nn/train.h"

#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "core/storage.h"
#include "nn/data/loader.h"
#include "nn/data/spheres.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"
#include "tests/nn/point_network.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

struct Setting {
  StepOptions step = {};
  std::string optimizer = "sgd";
  double drop = 0;
};

struct Trained {
  explicit Trained(const Setting& setting = {})
      : rng(2),
        model(rng, setting.drop),
        optimizer(make_optimizer(setting.optimizer, model.named_parameters())),
        step([this](const Tensor& x, Pass& pass) { return model.forward(x, pass); }, *optimizer,
             setting.step) {}
  StepResult operator()(const Batch& batch, int64_t number, const Tensors& keys = {},
                        double rate = 0.1) {
    return step(batch.x, batch.labels, optimizer->numbers(rate, 0.9, number), keys);
  }
  std::vector<Values> everything() const {
    std::vector<Values> all;
    for (const Tensor& t : model.parameters()) all.push_back(t.values());
    for (const Tensor& t : model.buffers()) all.push_back(t.values());
    for (const NamedTensor& s : optimizer->state()) all.push_back(s.tensor.values());
    return all;
  }

  Rng rng;
  PointNetwork model;
  std::unique_ptr<Optimizer> optimizer;
  TrainStep step;
};

const Dataset& points() {
  static const Dataset data = spheres({.size = 400, .seed = 1});
  return data;
}

}  // namespace

TEST_CASE("TrainStep: one step is loss, gradient, update and running statistics") {
  Trained trained;
  Trained by_hand;
  Loader loader(points(), 50, true, 1);
  Batch batch;
  REQUIRE(loader.next(&batch));

  const Tensors parameters = by_hand.model.parameters();
  Pass pass{.training = true};
  Tensor logits, loss;
  Tensors gradients;
  {
    Tape tape(parameters);
    logits = by_hand.model.forward(batch.x, pass);
    loss = cross_entropy(logits, batch.labels);
    gradients = tape.gradient(loss, parameters);
  }
  int64_t correct = 0;
  const Values scores = logits.values();
  for (size_t i = 0; i < 50; ++i) {
    correct += (scores[2 * i + 1] > scores[2 * i]) == (batch.labels.values()[i] == 1);
  }

  const StepResult result = trained(batch, 1);
  CHECK(result.loss == loss.item());
  CHECK(result.correct == correct);
  for (size_t i = 0; i < parameters.size(); ++i) {
    // From rest: p - 0.1 g.
    check_close(trained.model.parameters()[i], (parameters[i] - gradients[i] * 0.1).values(), 1e-6);
  }
  REQUIRE(pass.updates.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(trained.model.buffers()[i].values() == pass.updates[i].value.values());
    CHECK(by_hand.model.buffers()[i].values() != pass.updates[i].value.values());
  }
}

TEST_CASE("TrainStep: a plan and eager execution give the same bits, whatever is in the step") {
  for (const char* optimizer : {"sgd", "adam", "adamw", "rmsprop"}) {
    CAPTURE(optimizer);
    std::vector<std::vector<Values>> found;
    std::vector<Values> losses;
    for (const bool plan : {false, true}) {
      Trained trained({.step = {.label_smoothing = 0.1, .clip_norm = 0.5, .plan = plan},
                       .optimizer = optimizer,
                       .drop = 0.25});
      Loader loader(points(), 150, true, 1);  // 150, 150, 100: two plans
      losses.emplace_back();
      int64_t number = 0;
      for (int64_t epoch = 0; epoch < 2; ++epoch) {
        loader.start(epoch);
        for (Batch batch; loader.next(&batch);) {
          ++number;
          const Tensor key = make_key(1, 2, static_cast<uint32_t>(number));
          losses.back().push_back(trained(batch, number, {key}).loss);
        }
      }
      found.push_back(trained.everything());
      CHECK((trained.step.plan_bytes() > 0) == plan);
    }
    CHECK(losses[0] == losses[1]);
    REQUIRE(found[0].size() == found[1].size());
    for (size_t i = 0; i < found[0].size(); ++i) CHECK(found[0][i] == found[1][i]);
  }
}

TEST_CASE("TrainStep: the options reach the step") {
  Loader loader(points(), 100, false, 0);
  Batch batch;
  REQUIRE(loader.next(&batch));
  Trained plain, smoothed({.step = {.label_smoothing = 0.2}});
  Pass pass{.training = true};
  const Tensor logits = plain.model.forward(batch.x, pass);
  CHECK(smoothed(batch, 1).loss ==
        doctest::Approx(cross_entropy(logits, batch.labels, {.label_smoothing = 0.2}).item()));

  const auto length_of_step = [&](const StepOptions& options) {
    Trained trained({.step = options});
    const Tensors before = [&] {
      Tensors copies;
      for (const Tensor& p : trained.model.parameters()) copies.push_back(p.clone());
      return copies;
    }();
    trained(batch, 1);
    double square = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      square += std::pow(norm(trained.model.parameters()[i] - before[i]).item(), 2);
    }
    return std::sqrt(square) / 0.1;
  };
  CHECK(length_of_step({}) > 0.02);
  CHECK(length_of_step({.clip_norm = 0.01}) == doctest::Approx(0.01).epsilon(1e-3));
}

TEST_CASE("TrainStep: other keys, another dropout mask; none is an error") {
  Loader loader(points(), 100, false, 0);
  Batch batch;
  REQUIRE(loader.next(&batch));
  const auto loss = [&](uint32_t counter, bool plan) {
    Trained trained({.step = {.plan = plan}, .drop = 0.5});
    CHECK(trained.model.key_count() == 1);
    trained(batch, 1, {make_key(1, 2, 3)});
    return trained(batch, 2, {make_key(1, 2, counter)}).loss;  // of a plan: a replay
  };
  CHECK(loss(4, true) == loss(4, false));
  CHECK(loss(5, true) == loss(5, false));
  CHECK(loss(4, true) != loss(5, true));
  Trained trained({.drop = 0.5});
  CHECK(contains(message_of<ValueError>([&] { trained(batch, 1); }), "needs more random keys"));
}

TEST_CASE("TrainStep: after the first step of a shape nothing is allocated") {
  Trained trained({.optimizer = "adam"});
  Loader loader(points(), 100, false, 0);
  Batch batch;
  REQUIRE(loader.next(&batch));
  trained(batch, 1);
  const int64_t in_plan = trained.step.plan_allocations();
  const int64_t besides = memory_statistics(default_device()).allocations;
  CHECK(in_plan > 0);
  for (int64_t number = 2; number < 20; ++number) trained(batch, number);
  CHECK(trained.step.plan_allocations() == in_plan);
  CHECK(memory_statistics(default_device()).allocations == besides);
}

TEST_CASE("TrainStep: a parameter that was replaced is an error, with a plan and without") {
  for (const bool plan : {true, false}) {
    Tensor w = tensor({1, 2, 3, 4}).reshape({2, 2}).clone();
    const auto optimizer = make_optimizer("sgd", {{"w", w}});
    TrainStep step([&](const Tensor& x, Pass&) { return linear(x, w); }, *optimizer,
                   {.plan = plan});
    const auto take = [&] {
      return step(tensor({1, 2}).reshape({1, 2}), from_host(std::vector<int32_t>{1}, {1}),
                  optimizer->numbers(0.1, 0, 1));
    };
    take();
    w = tensor({0, 0, 0, 0}).reshape({2, 2}).clone();
    CHECK(message_of<ValueError>(take) ==
          "train: parameter w has been replaced: only the optimizer holds it. Update it in place "
          "(copy_into), or make optimizer and step anew.");
  }
}

TEST_CASE("TrainStep: the loss falls") {
  Trained trained({.optimizer = "adam"});
  Loader loader(points(), 100, true, 0);
  double first = 0, last = 0;
  int64_t correct = 0, number = 0;
  for (int64_t epoch = 0; epoch < 150; ++epoch) {
    loader.start(epoch);
    last = 0;
    correct = 0;
    for (Batch batch; loader.next(&batch);) {
      const StepResult r = trained(batch, ++number, {}, 0.02);
      last += r.loss / 4;
      correct += r.correct;
    }
    if (epoch == 0) first = last;
  }
  CHECK(first > 0.6);
  CHECK(last < 0.3);
  CHECK(correct > 350);

  // Evaluation uses the running statistics that training has left.
  EvaluationStep evaluate(
      [&](const Tensor& x, Pass& pass) { return trained.model.forward(x, pass); }, true);
  loader.start(0);
  int64_t right = 0;
  for (Batch batch; loader.next(&batch);) right += evaluate(batch.x, batch.labels).correct;
  CHECK(right > 350);
}

TEST_CASE("EvaluationStep: sums over the batch, outside of training, planned or not") {
  Trained trained({.drop = 0.5});
  Loader loader(points(), 150, false, 0);
  const auto f = [&](const Tensor& x, Pass& pass) {
    CHECK_FALSE(pass.training);
    return trained.model.forward(x, pass);
  };
  EvaluationStep planned(f, true), eager(f, false);
  for (Batch batch; loader.next(&batch);) {  // 150, 150, 100
    const Tensor logits = trained.model(batch.x);
    const auto a = planned(batch.x, batch.labels), b = eager(batch.x, batch.labels);
    CHECK(a.loss_sum == b.loss_sum);
    CHECK(a.correct == b.correct);
    CHECK(a.logits.values() == logits.values());
    CHECK(b.logits.values() == logits.values());
    CHECK(a.loss_sum == cross_entropy(logits, batch.labels, {.reduction = Reduction::sum}).item());
  }
  CHECK(trained.model.buffers()[0].values() == Values(32, 0.0));  // nothing was written
}
