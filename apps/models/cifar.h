// The CIFAR-10 networks. x: (N, H, W, C), pixels in [0, 1].
#pragma once

#include "apps/models/classifier.h"
#include "apps/models/options.h"

namespace slope::models {

// The meta-solver's networks: a convolution to `width` channels, then stages of residual blocks and
// ODE blocks, each stage with twice the channels at half the size, average pool, linear.
struct MetanodeLayers {
  struct Stage {
    int residual = 0, ode = 0;
  };
  std::vector<Stage> stages;
  // norm, activation, convolution instead of convolution, norm, activation. The published networks
  // of this kind apply norm and activation after the first convolution and none before the pool.
  bool pre_activation = false;
};
// depth: 4, 6, 10, 18 or 34.
MetanodeLayers metanode_layers(int depth, bool pre_activation);

// Options: norm=nf|bn|gn|ln|in (nf: none), block=ode|residual (residual blocks in place of the ODE
// blocks), activation, width, param-norm=none|weight|spectral (all convolutions, not the head).
std::unique_ptr<Classifier> make_metanode(const MetanodeLayers& layers, const Options& options,
                                          const InputFacts& facts, Rng& rng,
                                          const nn::ParameterOptions& parameters);
// The ten-layer network with batch norm, and layer norm inside the ODE blocks (Gusak et al. 2020).
std::unique_ptr<Classifier> make_odenet10_ln(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters);
// ResNet-18 with batch norm, the second block of each stage an ODE block (Zhuang et al. 2020).
std::unique_ptr<Classifier> make_node18(const Options& options, const InputFacts& facts, Rng& rng,
                                        const nn::ParameterOptions& parameters);
// ResNet-18 with pre-activation and batch norm (He et al. 2016), norm and activation before the
// pool.
std::unique_ptr<Classifier> make_preactresnet18(const Options& options, const InputFacts& facts,
                                                Rng& rng, const nn::ParameterOptions& parameters);
// The state of the ODE is the image ("ResNet After All?"): convolutions C -> width (1x1), width ->
// width (3x3), width -> C (1x1), activations between, then one linear layer on all values. Options:
// width, activation.
std::unique_ptr<Classifier> make_odenet_pixels(const Options& options, const InputFacts& facts,
                                               Rng& rng, const nn::ParameterOptions& parameters);

}  // namespace slope::models
