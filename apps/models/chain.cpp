#include "apps/models/chain.h"

#include <algorithm>

#include "nn/linear.h"

namespace slope::models {

Chain& Chain::add(const std::string& name, std::unique_ptr<nn::Layer> layer) {
  add_child(name, *layer);
  links_.push_back({.layer = std::move(layer)});
  return *this;
}

Chain& Chain::add(const std::string& name, std::unique_ptr<LayeredField> field) {
  add_child(name, *field);
  links_.push_back({.field = std::move(field)});
  return *this;
}

Tensor Chain::logits(const Tensor& x, nn::Pass& pass, const ode::BlockSettings& settings) const {
  Tensor y = x;
  for (const Link& link : links_) {
    y = link.layer ? link.layer->forward(y, pass)
                   : ode::solve_block(*link.field, y, pass, settings);
  }
  return y;
}

bool Chain::has_ode() const {
  return std::any_of(links_.begin(), links_.end(),
                     [](const Link& l) { return l.field != nullptr; });
}

std::unique_ptr<nn::NormLayer> Style::norm_layer(int64_t channels, Activation after) const {
  return nn::make_norm(norm, {.channels = channels, .activation = after, .parameters = parameters});
}

std::unique_ptr<nn::Conv2d> Style::conv(nn::Conv2dLayerOptions options, Rng& rng) const {
  options.weight_norm = weight_norm;
  options.parameters = parameters;
  return std::make_unique<nn::Conv2d>(options, rng);
}

std::unique_ptr<nn::Layer> Style::linear(int64_t in, int64_t out, Rng& rng) const {
  return std::make_unique<nn::Linear>(
      nn::LinearOptions{.in = in, .out = out, .parameters = parameters}, rng);
}

std::unique_ptr<nn::TimeConv2d> Style::time_conv(int64_t channels, nn::TimeChannel time,
                                                 Rng& rng) const {
  return std::make_unique<nn::TimeConv2d>(
      nn::TimeConvOptions{.in = channels, .out = channels, .time = time, .parameters = parameters},
      rng);
}

}  // namespace slope::models
