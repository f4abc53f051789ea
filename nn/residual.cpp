#include "nn/residual.h"

#include "core/ops/pointwise.h"

namespace slope::nn {
namespace {

NormLayerOptions norm_options(int64_t channels, const ResidualOptions& o) {
  return {.channels = channels,
          .groups = o.groups,
          .activation = o.activation,
          .parameters = o.parameters};
}

Conv2dLayerOptions conv_options(int64_t in, int64_t kernel, int64_t stride,
                                const ResidualOptions& o) {
  return {.in = in,
          .out = o.out,
          .kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .bias = false,
          .parameters = o.parameters};
}

}  // namespace

PreActivationBlock::PreActivationBlock(const ResidualOptions& options, Rng& rng)
    : options_(options),
      norm1_(norm_options(options.in, options)),
      conv1_(conv_options(options.in, 3, options.stride, options), rng),
      norm2_(norm_options(options.out, options)),
      conv2_(conv_options(options.out, 3, 1, options), rng) {
  add_child("norm1", norm1_);
  if (options.stride != 1 || options.in != options.out) {
    shortcut_.emplace(conv_options(options.in, 1, options.stride, options), rng);
    add_child("shortcut", *shortcut_);
  }
  add_child("conv1", conv1_);
  add_child("norm2", norm2_);
  add_child("conv2", conv2_);
}

Tensor PreActivationBlock::forward(const Tensor& x, Pass& pass) const {
  return traced([&] {
    const Tensor a = norm1_.forward(x, pass);
    const Tensor shortcut = shortcut_ ? shortcut_->forward(a, pass) : x;
    const Tensor inner = norm2_.forward(conv1_.forward(a, pass), pass);
    return conv2_.forward(inner, pass) + shortcut;
  });
}

std::string PreActivationBlock::describe() const {
  return concat("PreActivationBlock ", options_.in, "->", options_.out,
                options_.stride == 1 ? "" : concat(", stride ", options_.stride));
}

}  // namespace slope::nn
