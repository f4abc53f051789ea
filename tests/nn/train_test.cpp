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

namespace {

// Points whose norm is called twice a pass, on values of different scales, as in the stages of a
// solve; with dropout behind the first call.
class TwiceNormed final : public Layer {
 public:
  explicit TwiceNormed(double drop)
      : drop_(drop), norm({.channels = 2, .parameters = {.dtype = Dtype::f64}}) {
    add_child("norm", norm);
  }
  Tensor forward(const Tensor& x, Pass& pass) const override {
    Tensor y = norm.forward(x, pass);
    if (drop_ > 0 && pass.training) y = dropout(y, drop_, pass.next_key());
    return norm.forward(y + x * 3, pass);
  }
  std::string describe() const override { return "TwiceNormed"; }

 protected:
  int64_t own_key_count() const override { return drop_ > 0 ? 1 : 0; }

 private:
  double drop_;

 public:
  BatchNorm norm;
};

// Of each column of x (N, 2): the mean and the variance of n - 1, by their definitions.
std::pair<Values, Values> column_statistics(const Tensor& x) {
  const Values v = x.values();
  const auto n = static_cast<double>(v.size() / 2);
  Values means(2), variances(2);
  for (size_t i = 0; i < v.size(); ++i) means[i % 2] += v[i] / n;
  for (size_t i = 0; i < v.size(); ++i)
    variances[i % 2] += (v[i] - means[i % 2]) * (v[i] - means[i % 2]) / (n - 1);
  return {means, variances};
}

}  // namespace

TEST_CASE("StatisticsStep: the mean over all calls of all batches, whatever their size") {
  const Tensor batches[] = {mixed({5, 2}, Dtype::f64), mixed({5, 2}, Dtype::f64, 1) * 2 + 1,
                            mixed({3, 2}, Dtype::f64, 2)};
  // What the norm sees: x, and x normalised, plus 3 x.
  Values mean(2), variance(2);
  for (const Tensor& x : batches) {
    const auto [m, v] = column_statistics(x);
    const double n = static_cast<double>(x.dim(0));
    Values second = x.values();
    for (size_t i = 0; i < second.size(); ++i) {
      const size_t c = i % 2;
      second[i] = (second[i] - m[c]) / std::sqrt(v[c] * (n - 1) / n + 1e-5) + 3 * second[i];
    }
    const auto [m2, v2] = column_statistics(tensor(second, x.shape(), Dtype::f64));
    for (size_t c = 0; c < 2; ++c) {
      mean[c] += (m[c] + m2[c]) / 6;
      variance[c] += (v[c] + v2[c]) / 6;
    }
  }
  for (const bool plan : {false, true}) {
    CAPTURE(plan);
    const TwiceNormed model(0);
    StatisticsStep statistics([&](const Tensor& x, Pass& pass) { return model.forward(x, pass); },
                              model, plan);
    statistics.write();  // of nothing yet
    CHECK(model.norm.running_mean.values() == Values{0, 0});
    CHECK(model.norm.running_variance.values() == Values{1, 1});
    statistics(mixed({5, 2}, Dtype::f64, 7) * 100);
    statistics.clear();
    for (const Tensor& x : batches) statistics(x);
    CHECK(model.norm.running_mean.values() == Values{0, 0});  // nothing is written before write()
    statistics.write();
    check_close(model.norm.running_mean, mean, 1e-13);
    check_close(model.norm.running_variance, variance, 1e-13);
    // What they were before does not count.
    statistics.clear();
    for (const Tensor& x : batches) statistics(x);
    statistics.write();
    check_close(model.norm.running_mean, mean, 1e-13);
    check_close(model.norm.running_variance, variance, 1e-13);
    CHECK(model.norm.weight.values() == Values{1, 1});
  }
}

TEST_CASE("StatisticsStep: dropout has the given keys, planned or not; other layers keep theirs") {
  const auto found = [](uint32_t counter, bool plan) {
    const TwiceNormed model(0.5);
    StatisticsStep statistics([&](const Tensor& x, Pass& pass) { return model.forward(x, pass); },
                              model, plan);
    statistics(mixed({40, 2}, Dtype::f64), {make_key(1, 2, 3)});
    statistics(mixed({40, 2}, Dtype::f64, 1), {make_key(1, 2, counter)});  // of a plan: a replay
    statistics.write();
    return model.norm.running_variance.values();
  };
  CHECK(found(4, true) == found(4, false));
  CHECK(found(5, true) == found(5, false));
  CHECK(found(4, true) != found(5, true));

  class Unused final : public Layer {
   public:
    Unused() : used({.channels = 2}), unused({.channels = 2}) {
      add_child("used", used);
      add_child("unused", unused);
    }
    Tensor forward(const Tensor& x, Pass& pass) const override { return used.forward(x, pass); }
    std::string describe() const override { return "Unused"; }
    BatchNorm used, unused;
  };
  const Unused model;
  REQUIRE(batch_norms(model).size() == 2);
  CHECK(batch_norms(model)[1] == &model.unused);
  copy_into(model.unused.running_mean, tensor({5, 6}));
  StatisticsStep statistics([&](const Tensor& x, Pass& pass) { return model.forward(x, pass); },
                            model, true);
  statistics(tensor({1, 2, 3, 6}).reshape({2, 2}));
  statistics.write();
  CHECK(model.used.running_mean.values() == Values{2, 4});
  CHECK(model.used.running_variance.values() == Values{2, 8});
  CHECK(model.unused.running_mean.values() == Values{5, 6});

  Rng rng(1);
  const Linear none({.in = 2, .out = 2}, rng);
  CHECK(message_of<ValueError>([&] {
          StatisticsStep([&](const Tensor& x, Pass& pass) { return none.forward(x, pass); }, none,
                         true);
        }) == concat("statistics: ", none.describe(), " has no BatchNorm."));
}

// A model whose weights are an average: its running statistics are of the weights that are trained,
// until they are computed anew.
TEST_CASE("StatisticsStep: of averaged weights they are those of the average") {
  Rng rng(1);
  PointNetwork model(rng);
  const auto optimizer = make_optimizer("sgd", model.named_parameters());
  WeightAverage average(model.named_parameters(), 0.9);
  const Logits logits = [&](const Tensor& x, Pass& pass) { return model.forward(x, pass); };
  TrainStep train(logits, *optimizer, {.average = &average});
  StatisticsStep statistics(logits, model, true);
  Loader loader(points(), 100, false, 0);
  int64_t number = 0;
  for (Batch batch; loader.next(&batch);)
    train(batch.x, batch.labels, optimizer->numbers(0.5, 0, ++number));
  const auto of_now = [&] {
    statistics.clear();
    loader.start(0);
    for (Batch batch; loader.next(&batch);) statistics(batch.x);
    statistics.write();
    return model.buffers()[0].values();
  };
  const auto mean_of = [&](const Tensor& weight, const Tensor& bias) {
    Tensor sum;
    loader.start(0);
    for (Batch batch; loader.next(&batch);) {
      const Tensor m = mean(linear(batch.x, weight, bias), {0});
      sum = sum.defined() ? sum + m : m;
    }
    return (sum / 4).values();
  };
  const Tensors trained = model.parameters();
  const Values by_hand = mean_of(trained[0], trained[1]);
  const Values of_trained = of_now();
  average.exchange();
  const Values by_hand_of_average = mean_of(trained[0], trained[1]);
  const Values of_average = of_now();
  check_close(tensor(of_trained, {32}, Dtype::f64), by_hand, 1e-5);
  check_close(tensor(of_average, {32}, Dtype::f64), by_hand_of_average, 1e-5);
  CHECK(of_average != of_trained);
}
