#include "nn/norm.h"

#include <algorithm>

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"

namespace slope::nn {
namespace {

Tensor constant(const NormLayerOptions& o, double value) {
  return tensor(std::vector<double>(static_cast<size_t>(o.channels), value), {o.channels},
                o.parameters.dtype, o.parameters.device);
}

std::string with_activation(std::string text, Activation activation) {
  return activation == Activation::none ? text : text + " + " + name(activation);
}

}  // namespace

NormLayer::NormLayer(const NormLayerOptions& options, bool affine)
    : options_(options),
      weight(affine ? add_parameter("weight", constant(options, 1)) : Tensor()),
      bias(affine ? add_parameter("bias", constant(options, 0)) : Tensor()) {}

GroupNorm::GroupNorm(const NormLayerOptions& options) : NormLayer(options, options.affine) {
  options_.groups = std::min(options.groups, options.channels);
}

Tensor GroupNorm::apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass&,
                           const TimeTerm& time) const {
  return traced([&] {
    return group_norm(x, w, b, options_.groups, {options_.epsilon, options_.activation}, time);
  });
}

std::string GroupNorm::describe() const {
  return with_activation(concat("GroupNorm ", options_.channels, ", ", options_.groups, " groups",
                                options_.affine ? "" : ", no weights"),
                         options_.activation);
}

BatchNorm::BatchNorm(const NormLayerOptions& options)
    : NormLayer(options, true),
      running_mean(add_buffer("running_mean", constant(options, 0))),
      running_variance(add_buffer("running_var", constant(options, 1))) {}

Tensor BatchNorm::apply_to(const Tensor& x, const Tensor& w, const Tensor& b, Pass& pass,
                           const TimeTerm& time) const {
  return traced([&] {
    const NormOptions norm{options_.epsilon, options_.activation};
    if (!pass.training) return batch_norm_with(x, running_mean, running_variance, w, b, norm, time);
    const int64_t count = x.size() / options_.channels;
    if (count < 2) {
      throw ShapeError(concat("batch_norm: x ", slope::describe(x), " has ", count,
                              " value per channel; a variance needs two. "
                              "Use a larger batch, or evaluate."));
    }
    const BatchNormResult result = batch_norm(x, w, b, norm, time);
    const double keep = 1 - options_.momentum;
    // Updates follow one another: a field that runs this layer several times moves the statistics
    // each time.
    const auto latest = [&](const Tensor& buffer) {
      for (auto u = pass.updates.rbegin(); u != pass.updates.rend(); ++u) {
        if (u->buffer.id() == buffer.id()) return u->value;
      }
      return buffer;
    };
    const auto update = [&](const Tensor& buffer, const Tensor& batch, double factor) {
      const Tensor value = pass.batch_statistics
                               ? batch * factor
                               : latest(buffer) * keep + batch * (options_.momentum * factor);
      pass.updates.push_back({buffer, value});
    };
    update(running_mean, result.mean, 1);
    update(running_variance, result.variance,
           static_cast<double>(count) / static_cast<double>(count - 1));
    return result.y;
  });
}

std::string BatchNorm::describe() const {
  return with_activation(concat("BatchNorm ", options_.channels), options_.activation);
}

std::vector<const BatchNorm*> batch_norms(const Module& module) {
  std::vector<const BatchNorm*> all;
  if (const auto* norm = dynamic_cast<const BatchNorm*>(&module)) all.push_back(norm);
  for (const auto& [name, child] : module.children()) {
    const std::vector<const BatchNorm*> below = batch_norms(*child);
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

namespace {

// The place of a norm where there is none: the time term and the activation.
class NoNorm final : public NormLayer {
 public:
  explicit NoNorm(const NormLayerOptions& options) : NormLayer(options, false) {}
  Tensor apply_to(const Tensor& x, const Tensor&, const Tensor&, Pass&,
                  const TimeTerm& time) const override {
    return traced([&] {
      return activate(time.map.defined() ? x + time.t * time.map : x, options_.activation);
    });
  }
  std::string describe() const override { return concat("Activation ", name(options_.activation)); }
};

}  // namespace

std::unique_ptr<NormLayer> make_norm(NormKind kind, const NormLayerOptions& options) {
  NormLayerOptions o = options;
  switch (kind) {
    case NormKind::none:
      return std::make_unique<NoNorm>(options);
    case NormKind::batch:
      return std::make_unique<BatchNorm>(options);
    case NormKind::group:
      break;
    case NormKind::layer:
      o.groups = 1;
      break;
    case NormKind::instance:
      o.groups = o.channels;
      o.affine = false;
      break;
  }
  return std::make_unique<GroupNorm>(o);
}

LayerNorm::LayerNorm(const NormLayerOptions& options)
    : options_(options),
      weight(add_parameter("weight", constant(options, 1))),
      bias(add_parameter("bias", constant(options, 0))) {}

Tensor LayerNorm::forward(const Tensor& x, Pass&) const {
  return traced([&] {
    return layer_norm(x, weight, bias, {options_.epsilon, options_.activation});
  });
}

std::string LayerNorm::describe() const {
  return with_activation(concat("LayerNorm ", options_.channels), options_.activation);
}

}  // namespace slope::nn
