#include "apps/models/mnist.h"

#include "apps/models/chain.h"
#include "apps/models/pixels.h"
#include "core/ops/pointwise.h"
#include "nn/residual.h"

namespace slope::models {
namespace {

constexpr int64_t kWidth = 64;

Style style_of(const Options& options, nn::NormKind norm, const nn::ParameterOptions& parameters) {
  return {norm, activation_named(options.choice("activation")), parameters};
}

// conv 3x3, then `halvings` times [norm, activation, 4x4 convolution of stride 2]: 28 -> 26 -> 13
// -> 6. to: a Sequential or the chain.
template <typename T>
void add_conv_stem(T& to, int64_t channels, int64_t padding, int64_t halvings, const Style& s,
                   Rng& rng) {
  to.add("conv1", s.conv({.in = channels, .out = kWidth, .padding = padding}, rng));
  for (int64_t i = 1; i <= halvings; ++i) {
    to.add(concat("norm", i), s.norm_layer(kWidth));
    to.add(concat("conv", i + 1),
           s.conv({.in = kWidth, .out = kWidth, .kernel = 4, .stride = 2, .padding = 1}, rng));
  }
}

std::unique_ptr<nn::Layer> residual_block(int64_t stride, const Style& s, Rng& rng) {
  return std::make_unique<nn::PreActivationBlock>(nn::ResidualOptions{.in = kWidth,
                                                                      .out = kWidth,
                                                                      .stride = stride,
                                                                      .norm = s.norm,
                                                                      .activation = s.activation,
                                                                      .parameters = s.parameters},
                                                  rng);
}

// conv, or conv 3x3 and two residual blocks of stride 2: 28 -> 26 -> 13 -> 7. padding: of the first
// convolution.
std::unique_ptr<nn::Sequential> make_stem(const Options& options, int64_t channels, int64_t padding,
                                          const Style& s, Rng& rng) {
  const bool residual = options.choice("downsampling") == "res";
  auto stem = std::make_unique<nn::Sequential>(residual ? "ResidualStem" : "ConvStem");
  if (!residual) {
    add_conv_stem(*stem, channels, padding, 2, s, rng);
    return stem;
  }
  stem->add("conv1", s.conv({.in = channels, .out = kWidth, .padding = padding}, rng));
  stem->add("block1", residual_block(2, s, rng)).add("block2", residual_block(2, s, rng));
  return stem;
}

// norm, activation, conv([t, .]), norm, activation, conv([t, .]), norm
std::unique_ptr<LayeredField> pre_activation_field(const Style& s, Rng& rng) {
  auto field = std::make_unique<LayeredField>("PreActivationField");
  for (const char* i : {"1", "2"}) {
    field->add(concat("norm", i), s.norm_layer(kWidth));
    field->add(concat("conv", i), s.time_conv(kWidth, nn::TimeChannel::first, rng));
  }
  field->add("norm3", s.norm_layer(kWidth, Activation::none));
  return field;
}

// Twice: conv with a time channel, norm, activation.
std::unique_ptr<LayeredField> post_activation_field(nn::TimeChannel time, const Style& s,
                                                    Rng& rng) {
  auto field = std::make_unique<LayeredField>("PostActivationField");
  for (const char* i : {"1", "2"}) {
    field->add(concat("conv", i), s.time_conv(kWidth, time, rng));
    field->add(concat("norm", i), s.norm_layer(kWidth));
  }
  return field;
}

// norm, activation, average over the image, maybe dropout, linear
std::unique_ptr<nn::Sequential> make_head(int64_t classes, double dropout, const Style& s,
                                          Rng& rng) {
  auto head = std::make_unique<nn::Sequential>("Head");
  head->add("norm", s.norm_layer(kWidth)).add("pool", std::make_unique<nn::GlobalAveragePool>());
  if (dropout > 0) head->add("dropout", std::make_unique<nn::Dropout>(dropout));
  head->add("linear", s.linear(kWidth, classes, rng));
  return head;
}

}  // namespace

std::unique_ptr<Classifier> make_odenet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  const Style s = style_of(options, nn::NormKind::group, parameters);
  auto net = std::make_unique<Chain>("odenet-mnist", facts);
  net->add("stem", make_stem(options, facts.sample[2], 0, s, rng));
  net->add("ode", pre_activation_field(s, rng)).add("head", make_head(facts.classes, 0, s, rng));
  return net;
}

std::unique_ptr<Classifier> make_odenet_cifar(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  constexpr double kDropout = 0.1;
  const Style s = style_of(options, nn::NormKind::group, parameters);
  auto net = std::make_unique<Chain>("odenet-cifar", facts);
  add_normalization(*net, kHomeworkPixels);
  net->add("stem", make_stem(options, facts.sample[2], 1, s, rng));
  net->add("ode", pre_activation_field(s, rng));
  net->add("head", make_head(facts.classes, kDropout, s, rng));
  return net;
}

std::unique_ptr<Classifier> make_resnet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  const Style s = style_of(options, nn::NormKind::group, parameters);
  auto net = std::make_unique<Chain>("resnet-mnist", facts);
  net->add("stem", make_stem(options, facts.sample[2], 0, s, rng));
  for (int i = 1; i <= 6; ++i) net->add(concat("block", i), residual_block(1, s, rng));
  net->add("head", make_head(facts.classes, 0, s, rng));
  return net;
}

std::unique_ptr<Classifier> make_rknet_mnist(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters) {
  const Style s = style_of(options, nn::NormKind::batch, parameters);
  auto net = std::make_unique<Chain>("rknet-mnist", facts);
  add_conv_stem(*net, facts.sample[2], 0, 2, s, rng);
  net->add("norm3", s.norm_layer(kWidth));
  net->add("ode", post_activation_field(nn::TimeChannel::last, s, rng));
  net->add("pool", std::make_unique<nn::GlobalAveragePool>());
  net->add("linear", s.linear(kWidth, facts.classes, rng));
  return net;
}

namespace {

nn::Conv2dLayerOptions same_size() {
  return {.in = kWidth, .out = kWidth, .padding = 1, .bias = false};
}

// x + activation(norm(conv(activation(norm(conv(x))))))
class ConvolutionBlock final : public nn::Layer {
 public:
  ConvolutionBlock(const Style& s, Rng& rng) : inner_("Inner") {
    for (const char* i : {"1", "2"}) {
      inner_.add(concat("conv", i), s.conv(same_size(), rng));
      inner_.add(concat("norm", i), s.norm_layer(kWidth));
    }
    for (const auto& [name, child] : inner_.children()) add_child(name, *child);
  }
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    return traced([&] { return x + inner_.forward(x, pass); });
  }
  std::string describe() const override { return "ConvolutionBlock"; }

 private:
  nn::Sequential inner_;
};

// Twice: conv without time and bias, norm, activation.
std::unique_ptr<LayeredField> autonomous_field(const Style& s, Rng& rng) {
  auto field = std::make_unique<LayeredField>("AutonomousField");
  for (const char* i : {"1", "2"}) {
    field->add(concat("conv", i), s.conv(same_size(), rng));
    field->add(concat("norm", i), s.norm_layer(kWidth));
  }
  return field;
}

}  // namespace

std::unique_ptr<Classifier> make_tisode_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  const Style s = style_of(options, nn::NormKind::group, parameters);
  auto net = std::make_unique<Chain>("tisode-mnist", facts);
  auto stem = std::make_unique<nn::Sequential>("ConvStem");
  add_conv_stem(*stem, facts.sample[2], 0, 1, s, rng);
  stem->add("norm2", s.norm_layer(kWidth));
  net->add("stem", std::move(stem));
  const std::string& block = options.choice("block");
  if (block == "cnn") net->add("block", std::make_unique<ConvolutionBlock>(s, rng));
  if (block == "ode") net->add("ode", post_activation_field(nn::TimeChannel::first, s, rng));
  if (block == "tisode") net->add("ode", autonomous_field(s, rng));
  net->add("pool", std::make_unique<nn::GlobalAveragePool>());
  net->add("linear", s.linear(kWidth, facts.classes, rng));
  return net;
}

// The halves are counted down, as PyTorch does: (size + 2 padding - kernel) / 2 + 1.
std::unique_ptr<Classifier> make_cnn_mnist(const Options& options, const InputFacts& facts,
                                           Rng& rng, const nn::ParameterOptions& parameters) {
  constexpr int64_t kFirst = 16, kSecond = 32, kHidden = 100;
  const Style s = style_of(options, nn::NormKind::none, parameters);
  const auto halved = [](int64_t size) { return (size - 2) / 2 + 1; };
  const int64_t height = halved(halved(facts.sample[0])), width = halved(halved(facts.sample[1]));
  const auto conv = [&](int64_t in, int64_t out) {
    return s.conv({.in = in, .out = out, .kernel = 4, .stride = 2, .padding = 1}, rng);
  };
  const auto activation = [&] { return std::make_unique<nn::ActivationLayer>(s.activation); };
  auto net = std::make_unique<Chain>("cnn-mnist", facts);
  net->add("conv1", conv(facts.sample[2], kFirst)).add("activation1", activation());
  net->add("conv2", conv(kFirst, kSecond)).add("activation2", activation());
  net->add("flatten", std::make_unique<nn::Flatten>());
  net->add("linear1", s.linear(height * width * kSecond, kHidden, rng));
  net->add("activation3", activation());
  net->add("linear2", s.linear(kHidden, facts.classes, rng));
  return net;
}

}  // namespace slope::models
