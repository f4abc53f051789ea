// Every case of tests/golden/ops.json through the public functions of slope, values and gradients,
// on every device, in float64 and float32. The expected numbers come from PyTorch.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/functions.h"
#include "core/ops.h"
#include "nn/checkpoint.h"
#include "tests/ops/golden_runs.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::test;
using nlohmann::json;

namespace {

// ---- the files and the comparison ---------------------------------------------------------------

struct Golden {
  json cases;
  std::map<std::string, Tensor> tensors;

  Golden() {
    const std::string folder = test::source_dir() + "/tests/golden/";
    std::ifstream(folder + "ops.json") >> cases;
    for (const auto& named : nn::load_checkpoint(folder + "ops.safetensors").tensors) {
      tensors.emplace(named.name, named.tensor);
    }
  }
  // Undefined when the case has no such tensor.
  Tensor find(const std::string& name, const std::string& part) const {
    const auto found = tensors.find(name + "/" + part);
    return found == tensors.end() ? Tensor() : found->second;
  }
};

const Golden& golden() {
  static const Golden instance;
  return instance;
}

Tensor convert(const Tensor& x, Dtype dtype, Device device) {
  return tensor(x.values(), x.shape(), is_float(x.dtype()) ? dtype : x.dtype(), device);
}

// How far the largest difference may be, relative to the largest expected value of the tensor.
struct Band {
  double value, gradient;
};

void check_close(const char* what, size_t index, const Tensor& got, const Tensor& expected,
                 double band) {
  CAPTURE(what);
  CAPTURE(index);
  REQUIRE(got.shape() == expected.shape());
  const std::vector<double> a = got.values(), b = expected.values();
  double scale = 0, worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    scale = std::max(scale, std::abs(b[i]));
    const double d = std::abs(a[i] - b[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  if (!is_float(got.dtype())) band = 0;
  CAPTURE(scale);
  CHECK(worst <= band * scale);
}

void run_case(const std::string& name, Device device, Dtype dtype, const Band& band) {
  const json& entry = golden().cases.at(name);
  const std::string op = entry.at("op");
  const auto run = runs().find(op);
  if (run == runs().end()) {
    FAIL_CHECK("golden case ", name, ": no run for op ", op, ". Add it to runs().");
    return;
  }
  Case c{{}, entry.at("attributes"), dtype};
  for (size_t i = 0;; ++i) {
    const Tensor x = golden().find(name, concat("in", i));
    if (!x.defined()) break;
    c.in.push_back(convert(x, dtype, device));
  }
  REQUIRE(!c.in.empty());

  const Tensors outputs = run->second(c);
  REQUIRE(!outputs.empty());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor expected = golden().find(name, concat("out", i));
    REQUIRE(expected.defined());
    check_close("output", i, outputs[i], expected, band.value);
  }
  CHECK_FALSE(golden().find(name, concat("out", outputs.size())).defined());

  const Tensor g = golden().find(name, "g");
  if (!g.defined()) return;
  Tensors xs;
  std::vector<size_t> places;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (!golden().find(name, concat("d", i)).defined()) continue;
    xs.push_back(c.in[i]);
    places.push_back(i);
  }
  REQUIRE(!xs.empty());
  const VjpResult result = vjp(
      [&](const Tensors& given) {
        Case differentiable = c;
        for (size_t i = 0; i < given.size(); ++i) differentiable.in[places[i]] = given[i];
        return Tensors{run->second(differentiable).front()};
      },
      xs, {cast(convert(g, Dtype::f64, device), outputs[0].dtype())});
  for (size_t i = 0; i < xs.size(); ++i) {
    check_close("gradient", places[i], result.gradients[i],
                golden().find(name, concat("d", places[i])), band.gradient);
  }
}

bool ends_with(const std::string& name, const char* variant) {
  return name.ends_with(std::string(".") + variant);
}

// Relative to the largest value of a tensor, in float64.
Band float64_band(const std::string& name) {
  // Mean 1000, deviation 0.16: PyTorch's kernel takes the variance as a difference of squares and
  // is itself off by 1.9e-8, checked with exact fractions.
  if (name == "group_norm.shifted") return {2e-8, 3e-8};
  if (ends_with(name, "shifted")) return {1e-12, 1e-12};
  // Logits of 1e4, whose own rounding is 1e-12.
  if (ends_with(name, "steep")) return {2e-12, 2e-12};
  return {1e-14, 1e-13};
}

// Float32 inputs are the float64 ones rounded, so these bands are about conditioning.
Band float32_band(const std::string& name) {
  // 1000 + 0.16 z in float32 has three digits of z.
  if (ends_with(name, "shifted")) return {1e-3, 1e-3};
  return {1e-6, 1e-5};
}

// Cases that are about float64: tails where float32 overflows (tests/core/scalar_test.cpp looks at
// float32 there), and comparisons of values that are equal once rounded.
bool fits_float32(const std::string& name, const std::string& op) {
  static const std::set<std::string> comparisons = {"equal",      "not_equal", "less",
                                                    "less_equal", "greater",   "greater_equal"};
  return !ends_with(name, "hard") &&
         !(comparisons.contains(op) && !golden().cases.at(name).at("attributes").contains("right"));
}

// Returns how many cases were run on each device.
int run_all(Dtype dtype) {
  int count = 0;
  for (const Device device : devices()) {
    const DeviceScope here(device);
    CAPTURE(device.name());
    count = 0;
    for (const auto& [name, entry] : golden().cases.items()) {
      CAPTURE(name);
      if (dtype == Dtype::f32 && !fits_float32(name, entry.at("op"))) continue;
      ++count;
      try {
        run_case(name, device, dtype,
                 dtype == Dtype::f64 ? float64_band(name) : float32_band(name));
      } catch (const Error& error) {
        FAIL_CHECK(error.what());
      }
    }
  }
  return count;
}

}  // namespace

TEST_CASE("golden: float64 agrees with PyTorch in every case") {
  CHECK(run_all(Dtype::f64) == static_cast<int>(golden().cases.size()));
}

TEST_CASE("golden: float32 agrees with PyTorch's float64 within its rounding") {
  CHECK(run_all(Dtype::f32) > 300);
}

TEST_CASE("golden: every tensor belongs to a case, and every op has cases") {
  REQUIRE(golden().cases.size() > 300);
  std::set<std::string> ops;
  for (const auto& [name, entry] : golden().cases.items()) {
    ops.insert(entry.at("op").get<std::string>());
    CHECK(golden().find(name, "out0").defined());
  }
  for (const auto& [name, tensor] : golden().tensors) {
    CHECK(golden().cases.contains(name.substr(0, name.find('/'))));
  }
  for (const auto& [op, run] : runs()) {
    CAPTURE(op);
    CHECK(ops.contains(op));
  }
}
