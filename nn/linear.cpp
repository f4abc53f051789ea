#include "nn/linear.h"

namespace slope::nn {

Linear::Linear(const LinearOptions& options, Rng& rng)
    : WeightedLayer(
          options.weight_norm,
          initial_weight(options.initial, {options.out, options.in}, rng, options.parameters), rng,
          options.parameters),
      options_(options),
      bias(options.bias ? add_parameter("bias", initial_bias(options.initial, options.out,
                                                             options.in, rng, options.parameters))
                        : Tensor()) {}

std::string Linear::describe() const {
  return concat("Linear ", options_.in, "->", options_.out, options_.bias ? "" : ", no bias",
                norm_text());
}

}  // namespace slope::nn
