#include "nn/optimizer.h"

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope::nn {
namespace {

class Sgd final : public Optimizer {
 public:
  Sgd(const std::string& name, std::vector<NamedTensor> parameters, const OptimizerOptions& options,
      bool decoupled)
      : Optimizer(name, std::move(parameters), options, decoupled),
        nesterov_(name.starts_with("nesterov")) {
    if (nesterov_ && !options.momentum)
      throw ValueError(concat(name, ": needs a momentum. Set one, or take sgd."));
    if (options.momentum) velocity_ = add_state("momentum");
  }
  void update(size_t i, const Tensor& g, const Tensor& rate, const Tensor& momentum,
              const Tensor&) override {
    const bool moves = !velocity_.empty();
    sgd_step(parameters_[i].tensor, g, moves ? velocity_[i] : Tensor(), rate,
             moves ? momentum : Tensor(), {.weight_decay = weight_decay(i), .nesterov = nesterov_});
  }

 private:
  bool nesterov_;
  Tensors velocity_;
};

class Adam final : public Optimizer {
 public:
  // Its kernel knows decoupled decay.
  Adam(const std::string& name, std::vector<NamedTensor> parameters,
       const OptimizerOptions& options, bool decoupled)
      : Optimizer(name, std::move(parameters), options, false),
        options_{options.beta1, options.beta2, options.epsilon, 0, decoupled},
        mean_(add_state("mean")),
        square_(add_state("square")) {}
  void update(size_t i, const Tensor& g, const Tensor& rate, const Tensor&,
              const Tensor& step) override {
    AdamOptions options = options_;
    options.weight_decay = weight_decay(i);
    adam_step(parameters_[i].tensor, g, mean_[i], square_[i], rate, step, options);
  }

 private:
  AdamOptions options_;
  Tensors mean_, square_;
};

class Rmsprop final : public Optimizer {
 public:
  Rmsprop(const std::string& name, std::vector<NamedTensor> parameters,
          const OptimizerOptions& options, bool decoupled)
      : Optimizer(name, std::move(parameters), options, decoupled),
        options_{options.alpha, options.epsilon, 0},
        square_(add_state("square")) {
    if (options.momentum) velocity_ = add_state("momentum");
  }
  void update(size_t i, const Tensor& g, const Tensor& rate, const Tensor& momentum,
              const Tensor&) override {
    const bool moves = !velocity_.empty();
    RmspropOptions options = options_;
    options.weight_decay = weight_decay(i);
    rmsprop_step(parameters_[i].tensor, g, square_[i], moves ? velocity_[i] : Tensor(), rate,
                 moves ? momentum : Tensor(), options);
  }

 private:
  RmspropOptions options_;
  Tensors square_, velocity_;
};

bool is_in(const NamedTensor& parameter, const ParameterGroup& group) {
  if (group.name == "vectors") return parameter.tensor.rank() <= 1;
  // Whole parts only: "conv1" is not in "conv10.weight".
  return ("." + parameter.name + ".").find("." + group.name + ".") != std::string::npos;
}

Tensor entry(const Tensor& numbers, int64_t i) { return squeeze(slice(numbers, 0, i, i + 1), 0); }

}  // namespace

Optimizer::Optimizer(std::string name, std::vector<NamedTensor> parameters,
                     const OptimizerOptions& options, bool shrinks)
    : parameters_(std::move(parameters)),
      name_(std::move(name)),
      shrinks_(shrinks),
      rate_(parameters_.size(), 1),
      weight_decay_(parameters_.size(), options.weight_decay) {
  std::vector<bool> taken(parameters_.size());
  for (const ParameterGroup& group : options.groups) {
    bool any = false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (!is_in(parameters_[i], group)) continue;
      any = true;
      if (taken[i]) continue;
      taken[i] = true;
      rate_[i] = group.rate;
      weight_decay_[i] = group.weight_decay.value_or(options.weight_decay);
    }
    if (!any) {
      throw ValueError(concat("group: no parameter is in ", group.name,
                              ". Say vectors, or parts of a name such as ",
                              parameters_.front().name, "."));
    }
  }
}

Tensor Optimizer::numbers(double rate, double momentum, int64_t step) const {
  const Tensor& like = parameters_.front().tensor;
  return tensor(std::vector<double>{rate, momentum, static_cast<double>(step)}, {3}, like.dtype(),
                like.device());
}

void Optimizer::step(const Tensors& gradients, const Tensor& numbers) {
  if (gradients.size() != parameters_.size()) {
    throw ValueError(concat(name(), ": ", parameters_.size(), " parameters, but ", gradients.size(),
                            " gradients."));
  }
  const Tensor rate = entry(numbers, 0), momentum = entry(numbers, 1), number = entry(numbers, 2);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Tensor own_rate = rate_[i] == 1 ? rate : rate * rate_[i];
    const Tensor& p = parameters_[i].tensor;
    if (shrinks_ && weight_decay_[i] > 0) copy_into(p, p * (1 - own_rate * weight_decay_[i]));
    update(i, gradients[i], own_rate, momentum, number);
  }
}

Tensors Optimizer::add_state(const std::string& kind) {
  Tensors added;
  for (const NamedTensor& p : parameters_) {
    const std::vector<double> zeros(static_cast<size_t>(p.tensor.size()));
    added.push_back(tensor(zeros, p.tensor.shape(), p.tensor.dtype(), p.tensor.device()));
    state_.push_back({kind + "." + p.name, added.back()});
  }
  return added;
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name,
                                          std::vector<NamedTensor> parameters,
                                          const OptimizerOptions& options) {
  if (parameters.empty()) throw ValueError(name + ": the model has no parameters.");
  const bool decoupled = name.ends_with("w");
  const std::string kind = decoupled ? name.substr(0, name.size() - 1) : name;
  if (kind == "sgd" || kind == "nesterov")
    return std::make_unique<Sgd>(name, std::move(parameters), options, decoupled);
  if (kind == "adam")
    return std::make_unique<Adam>(name, std::move(parameters), options, decoupled);
  if (kind == "rmsprop")
    return std::make_unique<Rmsprop>(name, std::move(parameters), options, decoupled);
  throw ValueError(concat("optimizer: \"", name,
                          "\" is not one of sgd, nesterov, adam, rmsprop, or, with decoupled "
                          "weight decay, sgdw, nesterovw, adamw, rmspropw."));
}

Tensors clipped_by_norm(const Tensors& gradients, double limit, Tensor* norm) {
  if (!(limit > 0)) throw ValueError(concat("clip: the limit must be positive, got ", limit, "."));
  Tensor square_sum;
  for (const Tensor& g : gradients) {
    const Tensor s = sum(square(g));
    square_sum = square_sum.defined() ? square_sum + s : s;
  }
  const Tensor length = sqrt(square_sum);
  if (norm) *norm = length;
  const Tensor factor =
      clamp(limit / (length + 1e-6), 0, 1);  // as PyTorch, which guards against 0 the same way
  Tensors clipped;
  for (const Tensor& g : gradients) clipped.push_back(g * factor);
  return clipped;
}

}  // namespace slope::nn
