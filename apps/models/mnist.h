// The MNIST networks: a convolution stem from 28x28 to 6x6 or 7x7, a body that keeps the shape, and
// a linear head.
#pragma once

#include "apps/models/classifier.h"
#include "apps/models/options.h"

namespace slope::models {

// torchdiffeq's MNIST ODE net: group norm, time channel first. Options: downsampling=conv|res,
// activation=relu|softplus|gelu|tanh.
std::unique_ptr<Classifier> make_odenet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// The same with six residual blocks instead of the ODE.
std::unique_ptr<Classifier> make_resnet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// The batch norm variant: convolutions before norms, time channel last ("Neural ODEs from
// scratch").
std::unique_ptr<Classifier> make_rknet_mnist(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters);

}  // namespace slope::models
