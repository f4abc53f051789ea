// Training and solving on the emulated device: memory that runs out, and what a step costs the
// host.
#include <doctest/doctest.h>

#include "core/ops.h"
#include "core/storage.h"
#include "nn/data/loader.h"
#include "nn/data/spheres.h"
#include "nn/sequential.h"
#include "nn/train.h"
#include "ode/layer.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "tests/cuda_emulation/emulator.h"
#include "tests/nn/point_network.h"
#include "tests/ode/problems.h"

using namespace slope;
namespace emulation = slope::cuda::emulation;
using Values = std::vector<double>;

namespace {

// y' = tanh(y w^T + t v), w: (2, 2), v: (2).
class SmallField final : public ode::FieldModule {
 public:
  SmallField() {
    weight_ = add_parameter("weight", tensor({0.3, -0.5, 0.8, 0.1}, {2, 2}));
    time_weight_ = add_parameter("time_weight", tensor({0.2, -0.4}, {2}));
  }
  ode::Field field(const Shape&, nn::Pass&) const override {
    return {.context = {weight_, time_weight_},
            .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
              return tanh(linear(y, c[0]) + t * c[1]);
            }};
  }
  std::string describe() const override { return "SmallField"; }

 private:
  Tensor weight_, time_weight_;
};

nn::Batch points(int64_t count) {
  static const nn::Dataset data = nn::spheres({.size = 64, .seed = 1});
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  return nn::make_batch(data, indices, Dtype::f32);
}

// A network with BatchNorm, trained by Adam.
struct Trained {
  explicit Trained(bool plan)
      : rng(2),
        model(rng),
        optimizer(nn::make_optimizer("adam", model.named_parameters())),
        step([this](const Tensor& x, nn::Pass& pass) { return model.forward(x, pass); }, *optimizer,
             {.plan = plan}) {}
  void operator()(const nn::Batch& batch, int64_t number) {
    step(batch.x, batch.labels, optimizer->numbers(0.1, 0.9, number));
  }
  std::vector<Values> state() const {
    std::vector<Values> all;
    for (const Tensor& t : model.parameters()) all.push_back(t.values());
    for (const Tensor& t : model.buffers()) all.push_back(t.values());
    for (const nn::NamedTensor& s : optimizer->state()) all.push_back(s.tensor.values());
    return all;
  }

  Rng rng;
  test::PointNetwork model;
  std::unique_ptr<nn::Optimizer> optimizer;
  nn::TrainStep step;
};

}  // namespace

TEST_CASE("cuda: memory that runs out anywhere in a training step leaves the training as it was") {
  const Device cuda = device("cuda");
  const nn::Batch first = points(20), second = points(30);
  for (const bool plan : {false, true}) {
    CAPTURE(plan);
    Trained undisturbed(plan), trained(plan);
    undisturbed(first, 1);
    trained(first, 1);
    undisturbed(second, 2);
    const std::vector<Values> before = trained.state();

    int failures = 0;
    bool done = false;
    for (size_t extra = 0; !done; extra += 256 + extra / 4) {
      CAPTURE(extra);
      REQUIRE(extra < size_t{64} << 20);
      clear_cache(cuda);
      emulation::set_memory_bound(emulation::memory_in_use() + extra);
      std::string message;
      try {
        trained(second, 2);
        done = true;
      } catch (const DeviceError& error) {
        message = error.what();
      }
      emulation::set_memory_bound(size_t{1} << 30);
      if (done) break;
      ++failures;
      CHECK(message.find("out of memory on cuda:0") != std::string::npos);
      CHECK(trained.state() == before);
    }
    CHECK(failures > 10);
    CHECK(trained.state() == undisturbed.state());
  }
  CHECK(emulation::take_violations().empty());
}

TEST_CASE("cuda: a training step through a fixed-step solve is one graph launch") {
  auto layer = std::make_shared<SmallField>();
  auto optimizer = nn::make_optimizer("sgd", layer->named_parameters());
  for (const ode::Gradient gradient : {ode::Gradient::through, ode::Gradient::checkpointed}) {
    for (const char* word : {"rk4:4", "dopri5:3"}) {
      CAPTURE(word);
      const ode::BlockSettings settings{.solver = ode::parse_solver(word), .gradient = gradient};
      nn::TrainStep step(
          [&](const Tensor& x, nn::Pass& pass) {
            return ode::solve_block(*layer, x, pass, settings);
          },
          *optimizer);
      const nn::Batch batch = points(16);
      const Tensor numbers = optimizer->numbers(0.1, 0.9, 1);
      for (int i = 0; i < 2; ++i) step(batch.x, batch.labels, numbers);
      const emulation::Counters before = emulation::counters();
      for (int i = 0; i < 10; ++i) step(batch.x, batch.labels, numbers);
      const emulation::Counters after = emulation::counters();
      CHECK(after.graph_launches - before.graph_launches == 10);
      CHECK(after.launches - before.launches == 30);  // images, labels and numbers are copied in
      CHECK(after.host_reads - before.host_reads == 20);  // the loss and the correct samples
      CHECK(after.allocations == before.allocations);
    }
  }
}

TEST_CASE("cuda: an attempt of an adaptive solve is one graph launch and one read of one record") {
  const Tensors weights = ode::small_weights(3, 5);
  const ode::Field f = ode::small_network(weights);
  const Tensor y0 = full({4, 3}, 0.3, Dtype::f64);
  ode::StepPlans plans;
  struct Cost {
    int64_t attempts, graph_launches, host_reads, bytes_read, allocations;
  };
  const auto cost = [&](const char* word) {
    const emulation::Counters before = emulation::counters();
    const ode::Solution s = ode::solve(f, y0, {0, 1}, ode::parse_solver(word), {.plans = &plans});
    const emulation::Counters after = emulation::counters();
    return Cost{s.statistics->accepted + s.statistics->rejected,
                after.graph_launches - before.graph_launches, after.host_reads - before.host_reads,
                after.bytes_read - before.bytes_read, after.allocations - before.allocations};
  };
  cost("dopri5@1e-4");
  cost("dopri5@1e-9");  // captured and checked
  const Cost few = cost("dopri5@1e-4"), many = cost("dopri5@1e-9");
  const int64_t attempts = many.attempts - few.attempts;
  REQUIRE(attempts > 3);
  CHECK(many.graph_launches - few.graph_launches == attempts);
  CHECK(many.host_reads - few.host_reads == attempts);
  CHECK(many.bytes_read - few.bytes_read <= 16 * attempts);
  CHECK(many.allocations == 0);
}
