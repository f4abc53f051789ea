// The weight of a layer as a function of other parameters: weight and spectral normalisation.
#pragma once

#include <memory>

#include "nn/initialize.h"
#include "nn/module.h"

namespace slope::nn {

// What a layer's options choose among.
enum class WeightNorm {
  none,      // the weight is a parameter
  weight,    // g v / |v|, a length g for each output (Salimans and Kingma 2016)
  spectral,  // v / sigma, sigma the largest singular value of v as a matrix (out, fan_in), by power
             // iteration (Miyato et al. 2018)
};

// A child "parametrizations.weight" of its layer, with PyTorch's names. Spectral norm iterates once
// a training pass: a weight that moves with each evaluation, as PyTorch's does, makes no ODE.
class Parametrization : public Module {
 public:
  // The weight, like the one it was made from, with gradients to the parameters behind it. In
  // training a spectral norm leaves its two vectors, one step on, in the pass.
  virtual Tensor weight(Pass& pass) const = 0;
  // v, like the weight.
  virtual const Tensor& original() const = 0;
};

// A layer whose weight may have a norm.
class WeightedLayer : public Layer {
 public:
  // The weight of this pass: the parameter, or what a norm makes of it.
  Tensor weight_in(Pass& pass) const { return form_ ? form_->weight(pass) : weight; }

 protected:
  // initial: (out, ..). rng: for the first vector of a spectral norm.
  WeightedLayer(WeightNorm norm, const Tensor& initial, Rng& rng, const ParameterOptions& options);
  std::string norm_text() const { return form_ ? ", " + form_->describe() : ""; }

 private:
  const std::unique_ptr<Parametrization> form_;  // null without a norm

 public:
  const Tensor weight;  // the parameter; with a norm the v behind the weight
};

}  // namespace slope::nn
