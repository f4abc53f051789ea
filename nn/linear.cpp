#include "nn/linear.h"

namespace slope::nn {

Linear::Linear(const LinearOptions& options, Rng& rng)
    : options_(options),
      weight(add_parameter("weight", initial_weight(options.initial, {options.out, options.in}, rng,
                                                    options.parameters))),
      bias(options.bias ? add_parameter("bias", initial_bias(options.initial, options.out,
                                                             options.in, rng, options.parameters))
                        : Tensor()) {}

std::string Linear::describe() const {
  return concat("Linear ", options_.in, "->", options_.out, options_.bias ? "" : ", no bias");
}

}  // namespace slope::nn
