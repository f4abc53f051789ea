#include "nn/residual.h"

#include "core/ops/pointwise.h"

namespace slope::nn {
namespace {

std::unique_ptr<NormLayer> norm(int64_t channels, const ResidualOptions& o, Activation after) {
  return make_norm(
      o.norm,
      {.channels = channels, .groups = o.groups, .activation = after, .parameters = o.parameters});
}

Conv2dLayerOptions conv_options(int64_t in, int64_t kernel, int64_t stride,
                                const ResidualOptions& o) {
  return {.in = in,
          .out = o.out,
          .kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .bias = false,
          .weight_norm = o.weight_norm,
          .parameters = o.parameters};
}

bool changes_shape(const ResidualOptions& o) { return o.stride != 1 || o.in != o.out; }

std::string description(const char* kind, const ResidualOptions& o) {
  return concat(kind, " ", o.in, "->", o.out, o.stride == 1 ? "" : concat(", stride ", o.stride));
}

}  // namespace

PreActivationBlock::PreActivationBlock(const ResidualOptions& options, Rng& rng)
    : options_(options),
      norm1_(norm(options.in, options, options.activation)),
      conv1_(conv_options(options.in, 3, options.stride, options), rng),
      norm2_(norm(options.out, options, options.activation)),
      conv2_(conv_options(options.out, 3, 1, options), rng) {
  add_child("norm1", *norm1_);
  if (changes_shape(options)) {
    shortcut_.emplace(conv_options(options.in, 1, options.stride, options), rng);
    add_child("shortcut", *shortcut_);
  }
  add_child("conv1", conv1_);
  add_child("norm2", *norm2_);
  add_child("conv2", conv2_);
}

Tensor PreActivationBlock::forward(const Tensor& x, Pass& pass) const {
  return traced([&] {
    const Tensor a = norm1_->forward(x, pass);
    const Tensor shortcut = shortcut_ ? shortcut_->forward(options_.raw_shortcut ? x : a, pass) : x;
    const Tensor inner = norm2_->forward(conv1_.forward(a, pass), pass);
    return conv2_.forward(inner, pass) + shortcut;
  });
}

std::string PreActivationBlock::describe() const {
  return description("PreActivationBlock", options_);
}

PostActivationBlock::PostActivationBlock(const ResidualOptions& options, Rng& rng)
    : options_(options),
      conv1_(conv_options(options.in, 3, options.stride, options), rng),
      norm1_(norm(options.out, options, options.activation)),
      conv2_(conv_options(options.out, 3, 1, options), rng),
      norm2_(norm(options.out, options, Activation::none)) {
  add_child("conv1", conv1_);
  add_child("norm1", *norm1_);
  add_child("conv2", conv2_);
  add_child("norm2", *norm2_);
  if (!changes_shape(options)) return;
  shortcut_.emplace(conv_options(options.in, 1, options.stride, options), rng);
  shortcut_norm_ = norm(options.out, options, Activation::none);
  add_child("shortcut", *shortcut_);
  add_child("shortcut_norm", *shortcut_norm_);
}

Tensor PostActivationBlock::forward(const Tensor& x, Pass& pass) const {
  return traced([&] {
    const Tensor a = norm1_->forward(conv1_.forward(x, pass), pass);
    const Tensor b = norm2_->forward(conv2_.forward(a, pass), pass);
    const Tensor shortcut =
        shortcut_ ? shortcut_norm_->forward(shortcut_->forward(x, pass), pass) : x;
    return activate(b + shortcut, options_.activation);
  });
}

std::string PostActivationBlock::describe() const {
  return description("PostActivationBlock", options_);
}

}  // namespace slope::nn
