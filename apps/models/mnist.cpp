#include "apps/models/mnist.h"

#include "core/ops/window.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/residual.h"

namespace slope::models {
namespace {

constexpr int64_t kWidth = 64;

struct Style {
  Activation activation = Activation::relu;
  nn::ParameterOptions parameters = {};

  nn::NormLayerOptions norm(Activation after) const {
    return {.channels = kWidth, .activation = after, .parameters = parameters};
  }
  nn::NormLayerOptions norm() const { return norm(activation); }
  nn::Conv2dLayerOptions conv(int64_t in, int64_t kernel, int64_t stride, int64_t padding) const {
    return {.in = in,
            .out = kWidth,
            .kernel = kernel,
            .stride = stride,
            .padding = padding,
            .parameters = parameters};
  }
  nn::TimeConv2d::Options time_conv(nn::TimeChannel time) const {
    return {.in = kWidth, .out = kWidth, .time = time, .parameters = parameters};
  }
};

// conv 3x3, then twice [norm, activation, 4x4 convolution of stride 2]: 28 -> 26 -> 13 -> 6.
class ConvStem final : public nn::Layer {
 public:
  ConvStem(int64_t channels, const Style& s, Rng& rng)
      : conv1_(s.conv(channels, 3, 1, 0), rng),
        norm1_(s.norm()),
        conv2_(s.conv(kWidth, 4, 2, 1), rng),
        norm2_(s.norm()),
        conv3_(s.conv(kWidth, 4, 2, 1), rng) {
    add_child("conv1", conv1_);
    add_child("norm1", norm1_);
    add_child("conv2", conv2_);
    add_child("norm2", norm2_);
    add_child("conv3", conv3_);
  }
  // x: (N, H, W, channels) -> (N, H', W', 64)
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    const Tensor a = norm1_.forward(conv1_.forward(x, pass), pass);
    const Tensor b = norm2_.forward(conv2_.forward(a, pass), pass);
    return conv3_.forward(b, pass);
  }
  std::string describe() const override { return "ConvStem"; }

 private:
  nn::Conv2d conv1_;
  nn::GroupNorm norm1_;
  nn::Conv2d conv2_;
  nn::GroupNorm norm2_;
  nn::Conv2d conv3_;
};

// conv 3x3, then two residual blocks of stride 2: 28 -> 26 -> 13 -> 7.
class ResidualStem final : public nn::Layer {
 public:
  ResidualStem(int64_t channels, const Style& s, Rng& rng)
      : conv1_(s.conv(channels, 3, 1, 0), rng), block1_(block(s), rng), block2_(block(s), rng) {
    add_child("conv1", conv1_);
    add_child("block1", block1_);
    add_child("block2", block2_);
  }
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    return block2_.forward(block1_.forward(conv1_.forward(x, pass), pass), pass);
  }
  std::string describe() const override { return "ResidualStem"; }

 private:
  static nn::ResidualOptions block(const Style& s) {
    return {.in = kWidth,
            .out = kWidth,
            .stride = 2,
            .activation = s.activation,
            .parameters = s.parameters};
  }
  nn::Conv2d conv1_;
  nn::PreActivationBlock block1_, block2_;
};

std::unique_ptr<nn::Layer> make_stem(const Options& options, int64_t channels, const Style& s,
                                     Rng& rng) {
  if (options.choice("downsampling") == "res")
    return std::make_unique<ResidualStem>(channels, s, rng);
  return std::make_unique<ConvStem>(channels, s, rng);
}

// norm, activation, conv([t, .]), norm, activation, conv([t, .]), norm
class GroupNormField final : public ode::FieldModule {
 public:
  GroupNormField(const Style& s, Rng& rng)
      : norm1_(s.norm()),
        conv1_(s.time_conv(nn::TimeChannel::first), rng),
        norm2_(s.norm()),
        conv2_(s.time_conv(nn::TimeChannel::first), rng),
        norm3_(s.norm(Activation::none)) {
    add_child("norm1", norm1_);
    add_child("conv1", conv1_);
    add_child("norm2", norm2_);
    add_child("conv2", conv2_);
    add_child("norm3", norm3_);
  }

  ode::Field field(const Shape& state, nn::Pass&) const override {
    const auto c1 = conv1_.prepare(state[1], state[2]), c2 = conv2_.prepare(state[1], state[2]);
    return {
        .context = {norm1_.weight, norm1_.bias, c1.weight, c1.bias, c1.time_map, norm2_.weight,
                    norm2_.bias, c2.weight, c2.bias, c2.time_map, norm3_.weight, norm3_.bias},
        .evaluate = [this](const Tensor& t, const Tensor& y, const Tensors& c) {
          const Tensor a = conv1_.convolve(norm1_.apply_to(y, c[0], c[1]), c[2], c[3]);
          const Tensor b = conv2_.convolve(norm2_.apply_to(a, c[5], c[6], {t, c[4]}), c[7], c[8]);
          return norm3_.apply_to(b, c[10], c[11], {t, c[9]});
        }};
  }
  std::string describe() const override { return "GroupNormField"; }

 private:
  nn::GroupNorm norm1_;
  nn::TimeConv2d conv1_;
  nn::GroupNorm norm2_;
  nn::TimeConv2d conv2_;
  nn::GroupNorm norm3_;
};

// norm, activation, average over the image, linear
class Head final : public nn::Layer {
 public:
  Head(int64_t classes, const Style& s, Rng& rng)
      : norm_(s.norm()), linear_({.in = kWidth, .out = classes, .parameters = s.parameters}, rng) {
    add_child("norm", norm_);
    add_child("linear", linear_);
  }
  // x: (N, H, W, 64) -> (N, classes)
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    return linear_.forward(global_average_pool(norm_.forward(x, pass)), pass);
  }
  std::string describe() const override { return "Head"; }

 private:
  nn::GroupNorm norm_;
  nn::Linear linear_;
};

class OdenetMnist final : public Classifier {
 public:
  OdenetMnist(const Options& options, const InputFacts& facts, Rng& rng, const Style& s)
      : Classifier(facts),
        stem_(make_stem(options, facts.sample[2], s, rng)),
        ode_(s, rng),
        head_(facts.classes, s, rng) {
    add_child("stem", *stem_);
    add_child("ode", ode_);
    add_child("head", head_);
  }
  Tensor logits(const Tensor& x, nn::Pass& pass,
                const ode::BlockSettings& settings) const override {
    return head_.forward(ode::solve_block(ode_, stem_->forward(x, pass), pass, settings), pass);
  }
  std::string describe() const override { return "odenet-mnist"; }

 private:
  std::unique_ptr<nn::Layer> stem_;
  GroupNormField ode_;
  Head head_;
};

class ResnetMnist final : public Classifier {
 public:
  ResnetMnist(const Options& options, const InputFacts& facts, Rng& rng, const Style& s)
      : Classifier(facts), stem_(make_stem(options, facts.sample[2], s, rng)) {
    add_child("stem", *stem_);
    for (int i = 1; i <= 6; ++i) {
      blocks_.push_back(std::make_unique<nn::PreActivationBlock>(
          nn::ResidualOptions{
              .in = kWidth, .out = kWidth, .activation = s.activation, .parameters = s.parameters},
          rng));
      add_child(concat("block", i), *blocks_.back());
    }
    head_ = std::make_unique<Head>(facts.classes, s, rng);
    add_child("head", *head_);
  }
  bool has_ode() const override { return false; }
  Tensor logits(const Tensor& x, nn::Pass& pass, const ode::BlockSettings&) const override {
    Tensor y = stem_->forward(x, pass);
    for (const auto& block : blocks_) y = block->forward(y, pass);
    return head_->forward(y, pass);
  }
  std::string describe() const override { return "resnet-mnist"; }

 private:
  std::unique_ptr<nn::Layer> stem_;
  std::vector<std::unique_ptr<nn::PreActivationBlock>> blocks_;
  std::unique_ptr<Head> head_;
};

// Twice: conv([., t]), batch norm, activation. In training every evaluation of the field moves the
// running statistics, as in PyTorch; all stages of all steps share them.
class BatchNormField final : public ode::FieldModule {
 public:
  BatchNormField(const Style& s, Rng& rng)
      : conv1_(s.time_conv(nn::TimeChannel::last), rng),
        norm1_(s.norm()),
        conv2_(s.time_conv(nn::TimeChannel::last), rng),
        norm2_(s.norm()) {
    add_child("conv1", conv1_);
    add_child("norm1", norm1_);
    add_child("conv2", conv2_);
    add_child("norm2", norm2_);
  }

  ode::Field field(const Shape& state, nn::Pass& pass) const override {
    const auto c1 = conv1_.prepare(state[1], state[2]), c2 = conv2_.prepare(state[1], state[2]);
    const auto value = [this](const Tensor& t, const Tensor& y, const Tensors& c, nn::Pass& p) {
      const Tensor a = norm1_.apply_to(conv1_.convolve(y, c[0], c[1]), c[3], c[4], p, {t, c[2]});
      return norm2_.apply_to(conv2_.convolve(a, c[5], c[6]), c[8], c[9], p, {t, c[7]});
    };
    const bool training = pass.training;
    const ode::FieldFunction pure = [value, training](const Tensor& t, const Tensor& y,
                                                      const Tensors& c) {
      nn::Pass unused{.training = training};
      return value(t, y, c, unused);
    };
    ode::Field field{.context = {c1.weight, c1.bias, c1.time_map, norm1_.weight, norm1_.bias,
                                 c2.weight, c2.bias, c2.time_map, norm2_.weight, norm2_.bias},
                     .evaluate = pure};
    if (training) {
      field.evaluate = [value, &pass](const Tensor& t, const Tensor& y, const Tensors& c) {
        return value(t, y, c, pass);
      };
      field.evaluate_again = pure;
    }
    return field;
  }
  std::string describe() const override { return "BatchNormField"; }

 private:
  nn::TimeConv2d conv1_;
  nn::BatchNorm norm1_;
  nn::TimeConv2d conv2_;
  nn::BatchNorm norm2_;
};

class RknetMnist final : public Classifier {
 public:
  RknetMnist(const InputFacts& facts, Rng& rng, const Style& s)
      : Classifier(facts),
        conv1_(s.conv(facts.sample[2], 3, 1, 0), rng),
        norm1_(s.norm()),
        conv2_(s.conv(kWidth, 4, 2, 1), rng),
        norm2_(s.norm()),
        conv3_(s.conv(kWidth, 4, 2, 1), rng),
        norm3_(s.norm()),
        ode_(s, rng),
        linear_({.in = kWidth, .out = facts.classes, .parameters = s.parameters}, rng) {
    add_child("conv1", conv1_);
    add_child("norm1", norm1_);
    add_child("conv2", conv2_);
    add_child("norm2", norm2_);
    add_child("conv3", conv3_);
    add_child("norm3", norm3_);
    add_child("ode", ode_);
    add_child("linear", linear_);
  }
  Tensor logits(const Tensor& x, nn::Pass& pass,
                const ode::BlockSettings& settings) const override {
    Tensor y = norm1_.forward(conv1_.forward(x, pass), pass);
    y = norm2_.forward(conv2_.forward(y, pass), pass);
    y = norm3_.forward(conv3_.forward(y, pass), pass);
    return linear_.forward(global_average_pool(ode::solve_block(ode_, y, pass, settings)), pass);
  }
  std::string describe() const override { return "rknet-mnist"; }

 private:
  nn::Conv2d conv1_;
  nn::BatchNorm norm1_;
  nn::Conv2d conv2_;
  nn::BatchNorm norm2_;
  nn::Conv2d conv3_;
  nn::BatchNorm norm3_;
  BatchNormField ode_;
  nn::Linear linear_;
};

Style style(const Options& options, const nn::ParameterOptions& parameters) {
  return {activation_named(options.choice("activation")), parameters};
}

}  // namespace

std::unique_ptr<Classifier> make_odenet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  return std::make_unique<OdenetMnist>(options, facts, rng, style(options, parameters));
}

std::unique_ptr<Classifier> make_resnet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  return std::make_unique<ResnetMnist>(options, facts, rng, style(options, parameters));
}

std::unique_ptr<Classifier> make_rknet_mnist(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters) {
  return std::make_unique<RknetMnist>(facts, rng, style(options, parameters));
}

}  // namespace slope::models
