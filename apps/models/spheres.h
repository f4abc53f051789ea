// The networks for points: the state of the ODE is the point itself ("ResNet After All?").
#pragma once

#include "apps/models/classifier.h"
#include "apps/models/options.h"

namespace slope::models {

// x: (N, d) -> (N, classes). The field: linear d -> width, activation, (depth - 1) times linear
// width -> width and activation, linear width -> d; then linear d -> classes. Options: width,
// depth, activation.
std::unique_ptr<Classifier> make_spheres_mlp(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters);
// The field is three 1-d convolutions along the coordinates, as published: 1 -> width (kernel 1),
// activation, width -> width (kernel 3), activation, width -> 1 (kernel 1). Options: width,
// activation.
std::unique_ptr<Classifier> make_spheres_conv(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters);

}  // namespace slope::models
