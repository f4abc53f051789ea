// Chain: a network that is a list of layers and ODE blocks, one after the other; and the parts that
// the published ones share.
#pragma once

#include "apps/models/classifier.h"
#include "apps/models/layered_field.h"
#include "nn/sequential.h"

namespace slope::models {

class Chain final : public Classifier {
 public:
  // what: for printing.
  Chain(std::string what, const InputFacts& facts) : Classifier(facts), what_(std::move(what)) {}
  // Appends a layer, or an ODE block by its field, under a name.
  Chain& add(const std::string& name, std::unique_ptr<nn::Layer> layer);
  Chain& add(const std::string& name, std::unique_ptr<LayeredField> field);

  Tensor logits(const Tensor& x, nn::Pass& pass, const ode::BlockSettings& settings) const override;
  bool has_ode() const override;
  std::string describe() const override { return what_; }

 private:
  // One of the two.
  struct Link {
    std::unique_ptr<nn::Layer> layer = nullptr;
    std::unique_ptr<LayeredField> field = nullptr;
  };
  std::string what_;
  std::vector<Link> links_;
};

// What the layers of a network have in common.
struct Style {
  nn::NormKind norm = nn::NormKind::group;
  Activation activation = Activation::relu;
  nn::ParameterOptions parameters = {};
  nn::WeightNorm weight_norm = nn::WeightNorm::none;  // of convolutions without a time channel

  // A norm with `after` behind it, or with the network's activation.
  std::unique_ptr<nn::NormLayer> norm_layer(int64_t channels, Activation after) const;
  std::unique_ptr<nn::NormLayer> norm_layer(int64_t channels) const {
    return norm_layer(channels, activation);
  }
  // These give the options the network's parameters.
  std::unique_ptr<nn::Conv2d> conv(nn::Conv2dLayerOptions options, Rng& rng) const;
  std::unique_ptr<nn::Layer> linear(int64_t in, int64_t out, Rng& rng) const;
  // 3x3, with a time channel, from `channels` to as many.
  std::unique_ptr<nn::TimeConv2d> time_conv(int64_t channels, nn::TimeChannel time, Rng& rng) const;
};

}  // namespace slope::models
