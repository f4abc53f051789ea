// Modules: names, order, printing, random keys, and where an error came from.
#include "nn/module.h"

#include "core/ops.h"
#include "core/storage.h"
#include "nn/convolution.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

class Inner final : public Layer {
 public:
  explicit Inner(Rng& rng) : conv_({.in = 2, .out = 3, .padding = 1}, rng), norm_({.channels = 3}) {
    add_child("conv", conv_);
    add_child("norm", norm_);
  }
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return norm_.forward(conv_.forward(x, pass), pass);
  }
  std::string describe() const override { return "Inner"; }

 private:
  Conv2d conv_;
  BatchNorm norm_;
};

// Takes two keys in training: one of its own and one of its child's.
class Noisy final : public Layer {
 public:
  Tensor forward(const Tensor& x, Pass& pass) const override {
    return traced([&] { return pass.training ? dropout(x, 0.5, pass.next_key()) : x; });
  }
  std::string describe() const override { return "Noisy"; }

 protected:
  int64_t own_key_count() const override { return 1; }
};

class Outer final : public Layer {
 public:
  explicit Outer(Rng& rng) : inner_(rng), linear_({.in = 3, .out = 2, .bias = false}, rng) {
    scale_ = add_parameter("scale", scalar(2));
    add_child("inner", inner_);
    add_child("noise1", noise1_);
    add_child("noise2", noise2_);
    add_child("linear", linear_);
  }
  Tensor forward(const Tensor& x, Pass& pass) const override {
    const Tensor y = noise2_.forward(noise1_.forward(inner_.forward(x, pass), pass), pass);
    return linear_.forward(y * scale_, pass);
  }
  std::string describe() const override { return "Outer"; }

 private:
  Tensor scale_;
  Inner inner_;
  Noisy noise1_, noise2_;
  Linear linear_;
};

std::string names(const std::vector<NamedTensor>& tensors) {
  std::string all;
  for (const NamedTensor& t : tensors) all += (all.empty() ? "" : " ") + t.name;
  return all;
}

}  // namespace

TEST_CASE("module: names are paths, in forward order, weight before bias, children last") {
  Rng rng(1);
  const Outer model(rng);
  CHECK(names(model.named_parameters()) ==
        "scale inner.conv.weight inner.conv.bias inner.norm.weight inner.norm.bias linear.weight");
  CHECK(names(model.named_buffers()) == "inner.norm.running_mean inner.norm.running_var");
  CHECK(model.parameter_count() == 1 + 2 * 9 * 3 + 3 + 6 + 6);
  CHECK(model.parameters().size() == 6);
  CHECK(model.buffers().size() == 2);
  for (const NamedTensor& t : model.named_parameters())
    CHECK(t.tensor.storage()->label() == t.name);
  for (const NamedTensor& t : model.named_buffers()) CHECK(t.tensor.storage()->label() == t.name);
}

TEST_CASE("module: the summary is a tree with shapes and counts") {
  Rng rng(1);
  const Outer model(rng);
  const std::string text = model.summary();
  for (const char* line :
       {"Outer ", "\n  inner: Inner ", "\n    conv: Conv2d 2->3, 3x3, padding 1 ",
        "weight (3, 3, 3, 2)  bias (3)", "[running_mean (3)]", "  scale ()", "\n  noise1: Noisy ",
        "\n  linear: Linear"}) {
    CAPTURE(line);
    CHECK(contains(text, line));
  }
  CHECK(contains(text.substr(0, text.find('\n')), " 70  scale"));
}

TEST_CASE("module: an error names the module it came from") {
  Rng rng(1);
  const Outer model(rng);
  const std::string text = message_of<ShapeError>([&] { model(zeros({1, 4, 4, 5})); });
  CHECK(text.starts_with("conv2d: "));
  CHECK(text.ends_with("\n  in inner.conv (Conv2d 2->3, 3x3, padding 1)"));
  const Conv2d alone({.in = 2, .out = 3}, rng);
  CHECK(message_of<ShapeError>([&] {
          alone(zeros({1, 4, 4, 5}));
        }).ends_with("\n  in Conv2d 2->3, 3x3"));
}

TEST_CASE("module: random keys are taken in order, and there must be enough") {
  Rng rng(1);
  const Outer model(rng);
  CHECK(model.key_count() == 2);
  const Tensor x = ones({1, 4, 4, 2});
  Pass pass{.training = true, .keys = {make_key(1, 2, 3), make_key(1, 2, 4)}};
  const Tensor y = model.forward(x, pass);
  CHECK(pass.keys_used == 2);
  Pass same{.training = true, .keys = pass.keys};
  CHECK(model.forward(x, same).values() == y.values());
  Pass other{.training = true, .keys = {pass.keys[0], make_key(1, 2, 5)}};
  CHECK(model.forward(x, other).values() != y.values());
  Pass evaluation;
  model.forward(x, evaluation);
  CHECK(evaluation.keys_used == 0);
  Pass short_of{.training = true, .keys = {pass.keys[0]}};
  CHECK(message_of<ValueError>([&] { model.forward(x, short_of); }) ==
        "forward: a training pass needs more random keys than the 1 it was given. Give "
        "model.key_count() of them in Pass::keys.\n  in noise2 (Noisy)");
}
