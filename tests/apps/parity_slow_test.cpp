// Ten training steps of odenet-mnist against what PyTorch and torchdiffeq compute
// (tests/golden/parity.json; the recipe stands at the top of tests/golden/make_parity.py), and the
// same steps with every way of running them: not a bit may change.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "apps/models/classifier.h"
#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "nn/data/idx.h"
#include "nn/train.h"
#include "ode/solver_word.h"
#include "tests/apps/golden_values.h"
#include "tests/paths.h"

using namespace slope;
using Values = std::vector<double>;

namespace {

constexpr int64_t kSteps = 10, kBatch = 32, kSmallBatch = 2;

const nlohmann::json& golden() {
  static const auto json =
      nlohmann::json::parse(std::ifstream(test::source_dir() + "/tests/golden/parity.json"));
  return json;
}

const nn::Dataset& digits() {
  static const nn::Dataset data = [] {
    const std::filesystem::path folder = test::source_dir() + "/data/mnist";
    return nn::read_idx(folder / "train-images-idx3-ubyte.gz",
                        folder / "train-labels-idx1-ubyte.gz", 10, "mnist train")
        .first(kSteps * kBatch);
  }();
  return data;
}

// Images size * step .. size * step + size - 1 in file order.
nn::Batch batch_of(int64_t step, int64_t size, Dtype dtype) {
  std::vector<int64_t> indices(static_cast<size_t>(size));
  std::iota(indices.begin(), indices.end(), step * size);
  return nn::make_batch(digits(), indices, dtype);
}

// The initial values of the recipe for parameter number p.
Values initial_values(uint64_t p, const std::string& name, int64_t size, int64_t fan_in) {
  const bool of_norm = name.find("norm") != std::string::npos;
  const double bound = of_norm ? 0.1 : 1 / std::sqrt(static_cast<double>(fan_in));
  const double center = of_norm && name.ends_with("weight") ? 1 : 0;
  Values values = test::golden_uniform(p, size);
  for (double& v : values) v = center + (2 * v - 1) * bound;
  return values;
}

// Overwrites the parameters in place and holds their names, shapes and values against the file.
void set_initial_values(const models::Classifier& model) {
  const auto& expected = golden()["parameters"];
  const auto parameters = model.named_parameters();
  REQUIRE(parameters.size() == expected.size());
  int64_t fan_in = 0;
  for (size_t p = 0; p < parameters.size(); ++p) {
    const auto& [name, tensor] = parameters[p];
    CAPTURE(name);
    REQUIRE(name == expected[p]["name"]);
    REQUIRE(tensor.shape() ==
            Shape(std::span<const int64_t>(expected[p]["shape"].get<std::vector<int64_t>>())));
    if (name.ends_with("weight")) fan_in = tensor.size() / tensor.dim(0);  // its bias comes next
    const Values values = initial_values(p, name, tensor.size(), fan_in);
    REQUIRE(std::abs(values[0] - expected[p]["first"].get<double>()) < 1e-15);
    REQUIRE(std::abs(std::accumulate(values.begin(), values.end(), 0.0) -
                     expected[p]["sum"].get<double>()) < 1e-10);
    copy_into(tensor, slope::tensor(values, tensor.shape(), tensor.dtype()));
  }
}

struct Ways {
  ode::Gradient gradient = ode::Gradient::checkpointed;
  bool step_plan = true;    // the whole training step
  bool solve_plans = true;  // steps of the solve, where the training step is not a plan
};

// The network with the recipe's weights, solver and optimiser.
class Training {
 public:
  Training(const std::string& word, Dtype dtype, const Ways& ways = {})
      : dtype_(dtype),
        rng_(1),
        model_(models::make_model(word, nullptr, rng_, {.dtype = dtype})),
        settings_{.solver = ode::parse_solver("rk38:1"),
                  .gradient = ways.gradient,
                  .plans = ways.solve_plans},
        optimizer_(nn::make_optimizer("sgd", model_->named_parameters())),
        step_([this](const Tensor& x, nn::Pass& pass) { return logits(x, pass); }, *optimizer_,
              {.plan = ways.step_plan}) {
    set_initial_values(*model_);
  }
  // Mean loss before the update.
  double step(int64_t number, int64_t size = kBatch) {
    const nn::Batch batch = batch_of(number, size, dtype_);
    return step_(batch.x, batch.labels, optimizer_->numbers(0.01, 0.9, number + 1)).loss;
  }
  Tensor first_logits(int64_t size) const {
    nn::Pass pass{.training = true};
    return logits(batch_of(0, size, dtype_).x, pass);
  }
  // Of each parameter, at the weights as they are, on the batch of this step.
  Values gradient_norms(int64_t number, int64_t size) const {
    const nn::Batch batch = batch_of(number, size, dtype_);
    const Tensors parameters = model_->parameters();
    nn::Pass pass{.training = true};
    Tape tape(parameters);
    const Tensor loss = cross_entropy(logits(batch.x, pass), batch.labels);
    Values norms;
    for (const Tensor& g : tape.gradient(loss, parameters)) {
      norms.push_back(norm(cast(g, Dtype::f64)).item());
    }
    return norms;
  }
  // Everything that training changes.
  std::vector<Values> state() const {
    std::vector<Values> all;
    for (const Tensor& p : model_->parameters()) all.push_back(p.values());
    for (const nn::NamedTensor& s : optimizer_->state()) all.push_back(s.tensor.values());
    return all;
  }

 private:
  Tensor logits(const Tensor& x, nn::Pass& pass) const {
    return model_->logits(x, pass, settings_);
  }

  Dtype dtype_;
  Rng rng_;
  std::unique_ptr<models::Classifier> model_;
  ode::BlockSettings settings_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  nn::TrainStep step_;
};

// Largest relative difference.
double difference(const Values& got, const Values& expected) {
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(got[i] - expected[i]) / std::abs(expected[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst;
}

struct Bands {
  double losses;
  double norms;
  int64_t norm_steps;  // how many of the first steps have their gradient norms compared
};

void check_parity(const std::string& activation, Dtype dtype, int64_t size, const Bands& bands) {
  const std::string run =
      (dtype == Dtype::f64 ? "float64 " : "float32 ") + activation + " " + std::to_string(size);
  CAPTURE(run);
  const auto& expected = golden()["runs"][run];
  Training training("odenet-mnist,activation=" + activation, dtype);
  const Values logits = training.first_logits(size).values();
  const auto rows = expected["first_logits"].get<std::vector<Values>>();
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(10 * row);
    CHECK(difference(Values(begin, begin + 10), rows[row]) <= bands.norms);
  }
  for (int64_t step = 0; step < kSteps; ++step) {
    CAPTURE(step);
    const auto s = static_cast<size_t>(step);
    if (step < bands.norm_steps) {
      const double norms = difference(training.gradient_norms(step, size),
                                      expected["gradient_norms"][s].get<Values>());
      CHECK(norms <= bands.norms);
    }
    const double loss =
        difference({training.step(step, size)}, {expected["losses"][s].get<double>()});
    CHECK(loss <= bands.losses);
  }
}

}  // namespace

const Bands kFloat64{.losses = 1e-9, .norms = 1e-9, .norm_steps = kSteps};

TEST_CASE("parity: ten steps in float64 are PyTorch's") {
  for (const char* activation : {"relu", "softplus"}) {
    check_parity(activation, Dtype::f64, kBatch, kFloat64);
  }
}

// ReLU masks flip with the last bit, and gradients of later steps with them: PyTorch's own change
// by 7e-2 when only the memory layout changes.
TEST_CASE("parity: ten steps in float32 are PyTorch's, within its own noise") {
  check_parity("relu", Dtype::f32, kBatch, {.losses = 2e-3, .norms = 5e-3, .norm_steps = 1});
  check_parity("softplus", Dtype::f32, kBatch, {.losses = 1e-3, .norms = 5e-3, .norm_steps = 1});
}

// The emulated CUDA device runs these.
TEST_CASE("parity at batch 2: ten steps in float64 are PyTorch's") {
  check_parity("relu", Dtype::f64, kSmallBatch, kFloat64);
}
TEST_CASE("parity at batch 2: ten steps in float32 are PyTorch's, within its own noise") {
  check_parity("softplus", Dtype::f32, kSmallBatch,
               {.losses = 1e-3, .norms = 5e-3, .norm_steps = 1});
}

TEST_CASE("parity: through and checkpointed, planned and eager are equal bit for bit") {
  std::optional<std::vector<Values>> first;
  for (const ode::Gradient gradient : {ode::Gradient::through, ode::Gradient::checkpointed}) {
    for (const bool step_plan : {false, true}) {
      for (const bool solve_plans : {false, true}) {
        CAPTURE(ode::name(gradient));
        CAPTURE(step_plan);
        CAPTURE(solve_plans);
        Training training("odenet-mnist", Dtype::f32, {gradient, step_plan, solve_plans});
        for (int64_t step = 0; step < 3; ++step) training.step(step, 8);
        const std::vector<Values> state = training.state();
        if (!first) first = state;
        REQUIRE(state.size() == first->size());
        for (size_t i = 0; i < state.size(); ++i) CHECK(state[i] == (*first)[i]);
      }
    }
  }
}

TEST_CASE("parity: any number of threads gives the same bits") {
  const int before = cpu::threads();
  std::optional<std::vector<Values>> first;
  for (const int threads : {1, 2, 8}) {
    CAPTURE(threads);
    cpu::set_threads(threads);
    Training training("odenet-mnist", Dtype::f32);
    for (int64_t step = 0; step < 3; ++step) training.step(step);
    const std::vector<Values> state = training.state();
    if (!first) first = state;
    REQUIRE(state.size() == first->size());
    for (size_t i = 0; i < state.size(); ++i) CHECK(state[i] == (*first)[i]);
  }
  cpu::set_threads(before);
}
