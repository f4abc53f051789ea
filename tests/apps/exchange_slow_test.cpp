// The published networks against what PyTorch and torchdiffeq compute with the same weights
// (tests/golden/exchange.json; the recipe stands at the top of tests/golden/make_exchange.py).
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/models/classifier.h"
#include "core/ops.h"
#include "nn/checkpoint.h"
#include "ode/solver_word.h"
#include "tests/apps/golden_values.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::models;
using Values = std::vector<double>;

namespace {

// Fills parameters and buffers; number p of `names` gets the recipe's values.
void fill(const Classifier& model, const std::vector<std::string>& names) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, t] : model.named_parameters()) tensors[name] = t;
  for (const auto& [name, t] : model.named_buffers()) tensors[name] = t;
  REQUIRE(tensors.size() == names.size());
  for (size_t p = 0; p < names.size(); ++p) {
    CAPTURE(names[p]);
    REQUIRE(tensors.contains(names[p]));
    const Tensor& target = tensors.at(names[p]);
    const size_t dot = names[p].rfind('.');
    const std::string layer = names[p].substr(0, dot), leaf = names[p].substr(dot + 1);
    const bool of_norm = layer.find("norm", layer.rfind('.') + 1) != std::string::npos;
    const bool is_one = of_norm ? leaf == "weight" || leaf == "running_var" : leaf == "original0";
    const double center = is_one ? 1 : 0;
    const auto weight = tensors.find(layer + ".weight");
    const Tensor& first = weight == tensors.end() ? target : weight->second;
    const double scale = of_norm || is_one ? 0.1
                         : leaf == "_u" || leaf == "_v"
                             ? 1
                             : 1 / std::sqrt(static_cast<double>(first.size() / first.dim(0)));
    Values values = test::golden_uniform(p, target.size());
    for (double& v : values) v = center + (2 * v - 1) * scale;
    copy_into(target, tensor(values, target.shape(), target.dtype()));
  }
}

Tensor samples(const std::string& word, Dtype dtype) {
  const Shape shape = word.starts_with("spheres")               ? Shape{4, 2}
                      : word.find("mnist") != std::string::npos ? Shape{2, 28, 28, 1}
                                                                : Shape{1, 32, 32, 3};
  Values values = test::golden_uniform(1000, shape.size());
  if (word.starts_with("spheres")) {
    for (double& v : values) v -= 0.5;
  }
  return tensor(values, shape, dtype);
}

// A training pass that only moves the vectors of spectral norms.
void iterate(const Classifier& model, const Tensor& x) {
  nn::Pass pass{.training = true};
  model.logits(x, pass, {.solver = ode::parse_solver("euler:1")});
  for (const nn::Pass::Update& u : pass.updates) copy_into(u.buffer, u.value);
}

// Largest difference over the largest expected value.
double difference(const Values& got, const nlohmann::json& rows) {
  Values expected;
  for (const auto& row : rows) {
    for (const double v : row) expected.push_back(v);
  }
  REQUIRE(got.size() == expected.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(got[i] - expected[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    largest = std::max(largest, std::abs(expected[i]));
  }
  return worst / largest;
}

}  // namespace

TEST_CASE("exchange: the logits of every published network are PyTorch's") {
  const auto golden =
      nlohmann::json::parse(std::ifstream(test::source_dir() + "/tests/golden/exchange.json"));
  REQUIRE(golden.size() == 13);
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const auto& [word, expected] : golden.items()) {
      Rng rng(1);
      const auto model = make_model(word, nullptr, rng, {.dtype = dtype});
      fill(*model, expected["names"].get<std::vector<std::string>>());
      if (word.ends_with("spectral")) iterate(*model, samples(word, dtype));
      for (const auto& [solver, rows] : expected["logits"].items()) {
        CAPTURE(word);
        CAPTURE(solver);
        CAPTURE(std::string(name(dtype)));
        nn::Pass pass;
        const Values logits =
            model->logits(samples(word, dtype), pass, {.solver = ode::parse_solver(solver)})
                .values();
        // Fixed steps are the same sums; adaptive ones end at 1 here and go past it there.
        const bool adaptive = solver == "dopri5@1e-6";
        const double band = dtype == Dtype::f64 && !adaptive ? 1e-11 : 1e-4;
        CHECK(difference(logits, rows) <= band);
      }
    }
  }
}
