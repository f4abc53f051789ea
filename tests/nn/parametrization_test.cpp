// Weight and spectral normalisation: PyTorch's values and gradients, and what a pass leaves behind.
#include "nn/parametrization.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "autograd/tape.h"
#include "core/ops.h"
#include "nn/convolution.h"
#include "nn/linear.h"
#include "tests/core/test_values.h"
#include "tests/paths.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

const ParameterOptions kDouble{.dtype = Dtype::f64};

std::unique_ptr<WeightedLayer> layer_of(WeightNorm norm, const Shape& torch_shape) {
  Rng rng(3);
  const int64_t out = torch_shape[0], in = torch_shape[1];
  if (torch_shape.rank() == 2)
    return std::make_unique<Linear>(
        LinearOptions{.in = in, .out = out, .weight_norm = norm, .parameters = kDouble}, rng);
  if (torch_shape.rank() == 3)
    return std::make_unique<Conv1d>(Conv1dLayerOptions{.in = in,
                                                       .out = out,
                                                       .kernel = torch_shape[2],
                                                       .weight_norm = norm,
                                                       .parameters = kDouble},
                                    rng);
  return std::make_unique<Conv2d>(Conv2dLayerOptions{.in = in,
                                                     .out = out,
                                                     .kernel = torch_shape[2],
                                                     .weight_norm = norm,
                                                     .parameters = kDouble},
                                  rng);
}

// Values in PyTorch's layout, as a tensor in slope's.
Tensor from_torch_values(const nlohmann::json& values, const Shape& shape) {
  const Tensor x = tensor(values.get<std::vector<double>>(), shape, Dtype::f64);
  if (shape.rank() == 4) return contiguous(permute(x, {0, 2, 3, 1}));
  if (shape.rank() == 3) return contiguous(permute(x, {0, 2, 1}));
  return x;
}

Tensor named(const std::vector<NamedTensor>& tensors, const std::string& name) {
  for (const NamedTensor& t : tensors) {
    if (t.name == name) return t.tensor;
  }
  FAIL("there is no " << name);
  return {};
}

}  // namespace

TEST_CASE("weight norm, spectral norm: PyTorch's weights and gradients") {
  const auto cases = nlohmann::json::parse(
      std::ifstream(test::source_dir() + "/tests/golden/parametrizations.json"));
  int count = 0;
  for (const auto& c : cases) {
    Shape shape;
    for (int64_t n : c["shape"]) shape.push_back(n);
    CAPTURE(shape);
    ++count;
    const Tensor original = from_torch_values(c["original"], shape);
    const Tensor cotangent = from_torch_values(c["cotangent"], shape);
    {
      const auto& golden = c["weight_norm"];
      const auto layer = layer_of(WeightNorm::weight, shape);
      const Tensor g = named(layer->named_parameters(), "parametrizations.weight.original0");
      const Tensor v = named(layer->named_parameters(), "parametrizations.weight.original1");
      CHECK(v.id() == layer->weight.id());
      Pass pass{.training = true};
      check_close(layer->weight_in(pass), v.values(), 1e-15);  // at first g = |v|
      copy_into(g, tensor(golden["g"].get<std::vector<double>>(), g.shape(), Dtype::f64));
      copy_into(v, original);
      Tape tape({g, v});
      const Tensor w = layer->weight_in(pass);
      const Tensors d = tape.gradient(w, {g, v}, cotangent);
      check_close(w, from_torch_values(golden["weight"], shape).values(), 1e-14);
      check_close(d[0], golden["dg"].get<std::vector<double>>(), 1e-14);
      check_close(d[1], from_torch_values(golden["dv"], shape).values(), 1e-13);
      CHECK(pass.updates.empty());
    }
    const auto& golden = c["spectral_norm"];
    const auto layer = layer_of(WeightNorm::spectral, shape);
    const Tensor v = named(layer->named_parameters(), "parametrizations.weight.original");
    const std::vector<NamedTensor> kept = layer->named_buffers();
    REQUIRE(kept.size() == 2);
    CHECK(kept[0].name == "parametrizations.weight.0._u");
    CHECK(kept[1].name == "parametrizations.weight.0._v");
    const auto before = golden["before"].get<std::vector<std::vector<double>>>();
    const auto after = golden["after"].get<std::vector<std::vector<double>>>();
    copy_into(v, original);
    for (size_t i = 0; i < 2; ++i)
      copy_into(kept[i].tensor, tensor(before[i], kept[i].tensor.shape(), Dtype::f64));
    Pass pass{.training = true};
    {
      Tape tape({v});
      const Tensor w = layer->weight_in(pass);
      check_close(w, from_torch_values(golden["weight"], shape).values(), 1e-13);
      check_close(tape.gradient(w, {v}, cotangent)[0],
                  from_torch_values(golden["dv"], shape).values(), 1e-13);
    }
    REQUIRE(pass.updates.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      CHECK(kept[i].tensor.values() == before[i]);  // a pass writes no buffer
      CHECK(pass.updates[i].buffer.id() == kept[i].tensor.id());
      check_close(pass.updates[i].value, after[i], 1e-13);
      copy_into(kept[i].tensor, pass.updates[i].value);
    }
    Pass evaluation;
    check_close(layer->weight_in(evaluation),
                from_torch_values(golden["evaluated"], shape).values(), 1e-13);
    CHECK(evaluation.updates.empty());
  }
  CHECK(count == 4);
}

TEST_CASE("spectral norm: the iteration finds the largest singular value") {
  Rng rng(1);
  const Conv2d conv(
      {.in = 3, .out = 8, .kernel = 3, .weight_norm = WeightNorm::spectral, .parameters = kDouble},
      rng);
  CHECK(conv.describe() == "Conv2d 3->8, 3x3, SpectralNorm");
  for (int i = 0; i < 200; ++i) {
    Pass pass{.training = true};
    conv.weight_in(pass);
    for (const Pass::Update& u : pass.updates) copy_into(u.buffer, u.value);
  }
  Pass pass;
  const Tensor m = reshape(conv.weight_in(pass), {8, 27});
  // Of length at most 1 for every vector, and 1 for the first singular one.
  Tensor x = reshape(arange(27, Dtype::f64), {27, 1});
  for (int i = 0; i < 500; ++i) {
    x = matmul(m, matmul(m, x), {.transpose_a = true});
    x = x / norm(x);
  }
  CHECK(norm(matmul(m, x)).item() == doctest::Approx(1).epsilon(1e-9));
}
