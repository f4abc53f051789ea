#include "apps/models/cifar.h"

#include "apps/models/pixels.h"
#include "nn/linear.h"
#include "nn/residual.h"

namespace slope::models {
namespace {

nn::NormKind norm_named(const std::string& word) {
  if (word == "bn") return nn::NormKind::batch;
  if (word == "gn") return nn::NormKind::group;
  if (word == "ln") return nn::NormKind::layer;
  if (word == "in") return nn::NormKind::instance;
  return nn::NormKind::none;
}

nn::WeightNorm weight_norm_named(const std::string& word) {
  if (word == "weight") return nn::WeightNorm::weight;
  if (word == "spectral") return nn::WeightNorm::spectral;
  return nn::WeightNorm::none;
}

Activation activation_of(const Options& options) {
  return activation_named(options.choice("activation"));
}

nn::Conv2dLayerOptions conv3x3(int64_t in, int64_t out) {
  return {.in = in, .out = out, .padding = 1, .bias = false};
}

// Two convolutions without bias: norm and activation before each of them, or after.
std::unique_ptr<LayeredField> make_field(bool pre_activation, int64_t channels, const Style& s,
                                         Rng& rng) {
  auto field =
      std::make_unique<LayeredField>(pre_activation ? "PreActivationField" : "PostActivationField");
  for (const char* i : {"1", "2"}) {
    const std::string norm = concat("norm", i), conv = concat("conv", i);
    if (pre_activation) field->add(norm, s.norm_layer(channels));
    field->add(conv, s.conv(conv3x3(channels, channels), rng));
    if (!pre_activation) field->add(norm, s.norm_layer(channels));
  }
  return field;
}

std::unique_ptr<nn::Layer> make_residual(bool pre_activation, int64_t in, int64_t out,
                                         int64_t stride, bool raw_shortcut, const Style& s,
                                         Rng& rng) {
  const nn::ResidualOptions options{.in = in,
                                    .out = out,
                                    .stride = stride,
                                    .norm = s.norm,
                                    .weight_norm = s.weight_norm,
                                    .activation = s.activation,
                                    .raw_shortcut = raw_shortcut,
                                    .parameters = s.parameters};
  if (pre_activation) return std::make_unique<nn::PreActivationBlock>(options, rng);
  return std::make_unique<nn::PostActivationBlock>(options, rng);
}

// style: of stem and residual blocks; ode_norm: inside the ODE blocks.
std::unique_ptr<Classifier> build(const std::string& what, const MetanodeLayers& layers,
                                  const Style& style, nn::NormKind ode_norm,
                                  const PixelFacts& pixels, int64_t width, bool without_ode,
                                  const InputFacts& facts, Rng& rng) {
  Style inside = style;
  inside.norm = ode_norm;
  auto net = std::make_unique<Chain>(what, facts);
  add_normalization(*net, pixels);
  auto stem = std::make_unique<nn::Sequential>("Stem");
  stem->add("conv", style.conv(conv3x3(facts.sample[2], width), rng));
  stem->add("norm", style.norm_layer(width));
  net->add("stem", std::move(stem));
  int64_t channels = width;
  for (size_t stage = 0; stage < layers.stages.size(); ++stage) {
    const std::string name = concat("layer", stage + 1);
    const int64_t out = stage == 0 ? width : 2 * channels;
    int residual = layers.stages[stage].residual, ode = layers.stages[stage].ode;
    if (without_ode) residual += std::exchange(ode, 0);
    for (int i = 1; i <= residual; ++i) {
      const int64_t stride = i == 1 && stage > 0 ? 2 : 1;
      net->add(concat(name, ".residual", i),
               make_residual(layers.pre_activation, channels, out, stride, true, style, rng));
      channels = out;
    }
    for (int i = 1; i <= ode; ++i) {
      net->add(concat(name, ".ode", i), make_field(layers.pre_activation, channels, inside, rng));
    }
  }
  net->add("pool", std::make_unique<nn::GlobalAveragePool>());
  net->add("linear", style.linear(channels, facts.classes, rng));
  return net;
}

}  // namespace

MetanodeLayers metanode_layers(int depth, bool pre_activation) {
  switch (depth) {
    case 4:
      return {{{0, 1}}, pre_activation};
    case 6:
      return {{{1, 1}}, pre_activation};
    case 10:
      return {{{1, 1}, {1, 1}}, pre_activation};
    case 18:
      return {{{1, 1}, {1, 1}, {1, 1}, {1, 1}}, pre_activation};
    case 34:
      return {{{1, 2}, {1, 3}, {1, 5}, {1, 2}}, pre_activation};
  }
  throw ValueError(concat("metanode: the depth must be 4, 6, 10, 18 or 34, got ", depth, "."));
}

std::unique_ptr<Classifier> make_metanode(const MetanodeLayers& layers, const Options& options,
                                          const InputFacts& facts, Rng& rng,
                                          const nn::ParameterOptions& parameters) {
  const nn::NormKind norm = norm_named(options.choice("norm"));
  return build(
      layers.pre_activation ? "premetanode" : "metanode", layers,
      {norm, activation_of(options), parameters, weight_norm_named(options.choice("param-norm"))},
      norm, kMetaSolverPixels, options.number("width"), options.choice("block") == "residual",
      facts, rng);
}

std::unique_ptr<Classifier> make_odenet10_ln(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters) {
  return build("odenet10-ln", metanode_layers(10, false),
               {nn::NormKind::batch, activation_of(options), parameters}, nn::NormKind::layer,
               kCifarPixels, options.number("width"), false, facts, rng);
}

std::unique_ptr<Classifier> make_node18(const Options& options, const InputFacts& facts, Rng& rng,
                                        const nn::ParameterOptions& parameters) {
  return build("node18", metanode_layers(18, false),
               {nn::NormKind::batch, activation_of(options), parameters}, nn::NormKind::batch,
               kCifarPixels, options.number("width"), false, facts, rng);
}

std::unique_ptr<Classifier> make_preactresnet18(const Options& options, const InputFacts& facts,
                                                Rng& rng, const nn::ParameterOptions& parameters) {
  const Style s{nn::NormKind::batch, activation_of(options), parameters};
  int64_t channels = options.number("width");
  auto net = std::make_unique<Chain>("preactresnet18", facts);
  add_normalization(*net, kCifarPixels);
  net->add("conv", s.conv(conv3x3(facts.sample[2], channels), rng));
  for (int stage = 1; stage <= 4; ++stage) {
    const int64_t out = stage == 1 ? channels : 2 * channels;
    net->add(concat("layer", stage, ".residual1"),
             make_residual(true, channels, out, stage == 1 ? 1 : 2, false, s, rng));
    net->add(concat("layer", stage, ".residual2"), make_residual(true, out, out, 1, false, s, rng));
    channels = out;
  }
  net->add("norm", s.norm_layer(channels));
  net->add("pool", std::make_unique<nn::GlobalAveragePool>());
  net->add("linear", s.linear(channels, facts.classes, rng));
  return net;
}

std::unique_ptr<Classifier> make_odenet_pixels(const Options& options, const InputFacts& facts,
                                               Rng& rng, const nn::ParameterOptions& parameters) {
  // He's initial values for every layer, the classifier too.
  constexpr nn::Initial kInitial = nn::Initial::kaiming_normal;
  const Style s{nn::NormKind::none, activation_of(options), parameters};
  const int64_t pixels = facts.sample[2], width = options.number("width");
  const auto conv = [&](int64_t in, int64_t out, int64_t kernel) {
    return s.conv(
        {.in = in, .out = out, .kernel = kernel, .padding = kernel / 2, .initial = kInitial}, rng);
  };
  auto field = std::make_unique<LayeredField>("PixelField");
  field->add("conv1", conv(pixels, width, 1)).add("activation1", s.norm_layer(width));
  field->add("conv2", conv(width, width, 3)).add("activation2", s.norm_layer(width));
  field->add("conv3", conv(width, pixels, 1));
  auto net = std::make_unique<Chain>("odenet-pixels", facts);
  net->add("ode", std::move(field)).add("flatten", std::make_unique<nn::Flatten>());
  net->add("linear", std::make_unique<nn::Linear>(nn::LinearOptions{.in = facts.sample.size(),
                                                                    .out = facts.classes,
                                                                    .initial = kInitial,
                                                                    .parameters = parameters},
                                                  rng));
  return net;
}

}  // namespace slope::models
