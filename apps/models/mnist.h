// The MNIST networks: convolutions from 28x28 to 13x13, 7x7 or 6x6, a body that keeps the shape,
// and a linear head; and torchdiffeq's net as the homework has it for CIFAR-10. x: (N, H, W, C).
#pragma once

#include "apps/models/classifier.h"
#include "apps/models/options.h"

namespace slope::models {

// torchdiffeq's MNIST ODE net: group norm, time channel first. Options: downsampling=conv|res,
// activation=relu|softplus|gelu|tanh, as in all networks here.
std::unique_ptr<Classifier> make_odenet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// The same for CIFAR-10, the last row of the homework: pixels normalised, the first convolution
// padded (32 -> 32 -> 16 -> 8), residual down-sampling, dropout 0.1 before the linear layer.
std::unique_ptr<Classifier> make_odenet_cifar(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// odenet-mnist with six residual blocks instead of the ODE.
std::unique_ptr<Classifier> make_resnet_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// The batch norm variant: convolutions before norms, time channel last ("Neural ODEs from
// scratch").
std::unique_ptr<Classifier> make_rknet_mnist(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters);
// "On Robustness of Neural ODEs": a representation of 13x13, mapped by an autonomous ODE (tisode),
// by one with a time channel (ode), or by one residual block (cnn). Options: block, activation.
std::unique_ptr<Classifier> make_tisode_mnist(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);
// Two convolutions and two linear layers, the MNIST network of "Fast is better than free".
std::unique_ptr<Classifier> make_cnn_mnist(const Options& options, const InputFacts& facts,
                                           Rng& rng, const nn::ParameterOptions& parameters);

}  // namespace slope::models
