// What robust training makes small: objectives of several versions of a batch, and the perturbation
// of free training.
#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "nn/attack/free.h"
#include "nn/attack/objective.h"
#include "nn/attack/pgd.h"
#include "nn/data/loader.h"
#include "nn/data/spheres.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"
#include "tests/nn/point_network.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

struct Trained {
  explicit Trained(const StepOptions& options, double drop = 0, const char* name = "sgd")
      : rng(2),
        model(rng, drop),
        optimizer(make_optimizer(name, model.named_parameters())),
        step([this](const Tensor& x, Pass& pass) { return model.forward(x, pass); }, *optimizer,
             options) {}
  AttackedModel attacked() const {
    return [this](const Tensor& x) { return model(x); };
  }
  std::vector<Values> everything() const {
    std::vector<Values> all;
    for (const Tensor& t : model.parameters()) all.push_back(t.values());
    for (const Tensor& t : model.buffers()) all.push_back(t.values());
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
Batch first_batch(int64_t size) {
  std::vector<int64_t> places(static_cast<size_t>(size));
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i);
  return make_batch(points(), places, Dtype::f32);
}
constexpr Range kAnywhere{-HUGE_VAL, HUGE_VAL};

}  // namespace

TEST_CASE("divergence: by hand, and its gradient in both directions") {
  const Tensor clean = mixed({3, 4}, Dtype::f64, 1) * 2, z = mixed({3, 4}, Dtype::f64, 2) * 3;
  Values expected;
  const Values p = softmax(clean).values(), q = softmax(z).values();
  for (size_t i = 0; i < 3; ++i) {
    double sum = 0;
    for (size_t j = 4 * i; j < 4 * i + 4; ++j) sum += p[j] * std::log(p[j] / q[j]);
    expected.push_back(sum);
  }
  check_close(divergence(clean, z), expected, 1e-14);
  check_close(divergence(clean, clean), {0, 0, 0}, 1e-15);
  Tape tape({clean, z});
  const Tensors g = tape.gradient(sum(divergence(clean, z)), {clean, z});
  const auto at = [](const Tensor& a, const Tensor& b) { return sum(divergence(a, b)).item(); };
  check_close(g[0], numeric_gradient([&](const Tensor& a) { return at(a, z); }, clean), 1e-8);
  check_close(g[1], numeric_gradient([&](const Tensor& b) { return at(clean, b); }, z), 1e-8);
}

TEST_CASE("TrainStep: an objective of two versions, its buffers, planned or not") {
  const Batch batch = first_batch(60);
  const Tensor moved = batch.x + mixed({60, 2}, Dtype::f32, 5) * 0.05;
  const Tensor key = make_key(1, 2, 3);
  // By hand: both passes with the same mask, the second one's statistics behind the first one's.
  Trained by_hand({}, 0.25);
  const Tensors parameters = by_hand.model.parameters();
  Pass pass{.training = true, .keys = {key}};
  Tensors gradients;
  double loss = 0;
  {
    Tape tape(parameters);
    const Tensor z = by_hand.model.forward(batch.x, pass);
    pass.keys_used = 0;
    const Tensor other = by_hand.model.forward(moved, pass);
    const Tensor total = cross_entropy(z, batch.labels) + 3 * mean(divergence(z, other));
    gradients = tape.gradient(total, parameters);
    loss = total.item();
  }
  REQUIRE(pass.updates.size() == 4);
  std::vector<std::vector<Values>> found;
  for (const bool plan : {false, true}) {
    Trained trained({.objective = trades_objective(3), .plan = plan}, 0.25);
    for (int64_t i = 1; i <= 3; ++i) {
      const StepResult r = trained.step(batch.x, batch.labels,
                                        trained.optimizer->numbers(0.1, 0.9, i), {key}, {moved});
      if (i > 1) continue;
      CHECK(r.loss == doctest::Approx(loss).epsilon(1e-6));
      for (size_t k = 0; k < parameters.size(); ++k)
        check_close(trained.model.parameters()[k], (parameters[k] - gradients[k] * 0.1).values(),
                    1e-6);
      for (size_t k = 0; k < 2; ++k)
        CHECK(trained.model.buffers()[k].values() == pass.updates[2 + k].value.values());
    }
    found.push_back(trained.everything());
  }
  CHECK(found[0] == found[1]);
  const Tensor z = mixed({5, 2}, Dtype::f64), other = mixed({5, 2}, Dtype::f64, 1);
  const Tensor y = slice(batch.labels, 0, 0, 5);
  CHECK(summed_objective()({z, other}, y).item() ==
        doctest::Approx(cross_entropy(z, y).item() + cross_entropy(other, y).item()));
  CHECK(trades_objective(0)({z, other}, y).item() == doctest::Approx(cross_entropy(z, y).item()));
  CHECK(contains(message_of<ValueError>([&] { trades_objective(1)({z}, y); }), "got 0 versions"));
  CHECK(contains(message_of<ValueError>([] { trades_objective(-1); }), "got -1"));
}

TEST_CASE("pgd on kl: climbs from beside the clean sample, where there is no gradient") {
  const Trained net({});
  const Batch batch = first_batch(40);
  const AttackSamples s{.x = batch.x, .labels = batch.labels};
  Target target(net.attacked());
  const PgdOptions options{.eps = 0.1,
                           .step = 0.02,
                           .iterations = 8,
                           .start = PgdStart::normal,
                           .last = true,
                           .loss = AttackLoss::kl,
                           .range = kAnywhere};
  const auto apart = [&](const Tensor& x) {
    return mean(divergence(net.model(batch.x), net.model(x))).item();
  };
  const Tensor x = pgd(target, s, options);
  CHECK(max(abs(x - batch.x)).item() <= 0.1 + 1e-6);
  CHECK(apart(x) > 10 * apart(batch.x + 0.01));
  CHECK(target.notes().gradients == 8);  // and no pass behind the last step
  CHECK(target.notes().forwards == 1);   // what the model says of the clean samples
  AttackSamples known = s;
  known.clean_logits = net.model(batch.x);
  CHECK(max(abs(target.evaluate(s.x, known, AttackLoss::kl).gradient)).item() < 1e-6);
  CHECK(contains(message_of<ValueError>([&] { target.evaluate(s.x, s, AttackLoss::kl); }),
                 "Use pgd"));
}

TEST_CASE("free: the perturbation moves with the weights' gradient, and stays for the next batch") {
  FreePerturbation change({.eps = 0.25, .step = 0.125}, {3, 2}, Dtype::f64);
  const Tensor x = tensor({0.5, 0.05, 0.95, 0.5, 0.5, 0.5}, {3, 2}, Dtype::f64);
  check_close(change.apply(x), x.values(), 0);
  const Tensor g = tensor({1, -2, 3, 0, -1, 1}, {3, 2}, Dtype::f64);
  change.climb(x, change.apply(x), g);
  check_close(change.change(), {0.125, -0.125, 0.125, 0, -0.125, 0.125}, 1e-15);
  const Tensor second = change.apply(x);
  check_close(second, {0.625, 0, 1, 0.5, 0.375, 0.625}, 1e-15);
  change.climb(x, second, g);  // where the picture's range holds it back it stays
  check_close(change.change(), {0.25, -0.125, 0.125, 0, -0.25, 0.25}, 1e-15);
  change.climb(x, change.apply(x), g);
  check_close(change.change(), {0.25, -0.125, 0.125, 0, -0.25, 0.25}, 1e-15);
  // A smaller batch takes the first rows.
  const Tensor few = full({1, 2}, 0.5, Dtype::f64);
  check_close(change.apply(few), {0.75, 0.375}, 1e-15);
  change.climb(few, change.apply(few), tensor({-1, 0}, {1, 2}, Dtype::f64));
  check_close(change.change(), {0.125, -0.125, 0.125, 0, -0.25, 0.25}, 1e-15);
  CHECK(contains(message_of<ShapeError>([&] {
                   change.apply(full({4, 2}, 0.5, Dtype::f64));
                 }),
                 "made for 3"));
  const auto refused = [](const FreeOptions& o) {
    return message_of<ValueError>([&] { FreePerturbation(o, {3, 2}, Dtype::f64); });
  };
  CHECK(contains(refused({.eps = 0}), "above 0"));
  CHECK(contains(refused({.eps = 2}), "write 8/255"));
  CHECK(contains(refused({.eps = 0.1, .step = -1}), "step must not be negative"));
}

TEST_CASE("TrainStep: the gradient of the images comes with that of the weights") {
  const Batch batch = first_batch(50);
  for (const bool plan : {false, true}) {
    Trained trained({.plan = plan, .input_gradient = true}), plain({.plan = plan});
    const auto numbers = trained.optimizer->numbers(0.1, 0.9, 1);
    Pass pass{.training = true};
    Values expected;
    {
      Tape tape({batch.x});
      const Tensor loss = cross_entropy(trained.model.forward(batch.x, pass), batch.labels);
      expected = tape.gradient(loss, {batch.x})[0].values();
    }
    const StepResult r = trained.step(batch.x, batch.labels, numbers);
    check_close(r.input_gradient, expected, 1e-7);
    CHECK_FALSE(plain.step(batch.x, batch.labels, numbers).input_gradient.defined());
    CHECK(trained.everything() == plain.everything());
  }
}

// Each kind of training on the spheres, and what it has the less of: the change of the prediction,
// or the loss, on what PGD makes of the points. (Of how many of the 400 are still right, the
// methods' difference is that of two roundings.)
TEST_CASE("robust training: TRADES and free withstand what plain training does not") {
  constexpr double kEps = 0.03;
  struct Attacked {
    double loss, change;  // means: the cross-entropy, and KL(clean || attacked)
  };
  const auto attacked = [](const Trained& t) {
    const Batch batch = first_batch(400);
    const AttackSamples s{.x = batch.x, .labels = batch.labels};
    Target target(t.attacked());
    const Tensor x =
        pgd(target, s, {.eps = kEps, .step = kEps / 4, .iterations = 20, .range = kAnywhere});
    Pass pass;
    const Tensor logits = t.model.forward(x, pass);
    const Tensor before = log_softmax(t.model.forward(batch.x, pass), 1);
    return Attacked{cross_entropy(logits, batch.labels).item(),
                    sum(exp(before) * (before - log_softmax(logits, 1))).item() / 400};
  };
  const auto train = [&](Trained& t, int64_t epochs, const auto& batch_step) {
    Loader loader(points(), 100, true, 1);
    int64_t number = 0;
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      loader.start(epoch);
      for (Batch b; loader.next(&b);) batch_step(t, b, number);
    }
    return attacked(t);
  };
  const auto numbers = [](Trained& t, int64_t& number) {
    return t.optimizer->numbers(0.01, 0.9, ++number);
  };
  Trained clean({}, 0, "adam"), trades({.objective = trades_objective(6)}, 0, "adam"),
      free({.input_gradient = true}, 0, "adam");
  const Attacked plain = train(clean, 80, [&](Trained& t, const Batch& b, int64_t& number) {
    t.step(b.x, b.labels, numbers(t, number));
  });
  Target target(trades.attacked());
  const Attacked with_trades = train(trades, 80, [&](Trained& t, const Batch& b, int64_t& number) {
    const Tensor x = pgd(target, {.x = b.x, .labels = b.labels},
                         {.eps = kEps,
                          .step = kEps / 4,
                          .iterations = 6,
                          .start = PgdStart::normal,
                          .last = true,
                          .loss = AttackLoss::kl,
                          .range = kAnywhere});
    t.step(b.x, b.labels, numbers(t, number), {}, {x});
  });
  FreePerturbation change({.eps = kEps, .range = kAnywhere}, {100, 2}, Dtype::f32);
  const Attacked with_free = train(free, 40, [&](Trained& t, const Batch& b, int64_t& number) {
    for (int64_t replay = 0; replay < 4; ++replay) {
      const Tensor x = change.apply(b.x);
      change.climb(b.x, x, t.step(x, b.labels, numbers(t, number)).input_gradient);
    }
  });
  CHECK(with_trades.change < 0.6 * plain.change);
  CHECK(with_free.loss < 0.95 * plain.loss);
}
