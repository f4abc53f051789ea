#include "apps/models/spheres.h"

#include "core/ops/movement.h"
#include "core/ops/norm.h"
#include "nn/convolution.h"
#include "nn/linear.h"

namespace slope::models {
namespace {

// He's initial values for every layer, the classifier too.
constexpr nn::Initial kInitial = nn::Initial::kaiming_normal;

class LinearField final : public ode::FieldModule {
 public:
  LinearField(int64_t dim, int64_t width, int64_t depth, Activation activation,
              const nn::ParameterOptions& parameters, Rng& rng)
      : activation_(activation) {
    for (int64_t i = 0; i <= depth; ++i) {
      layers_.push_back(
          std::make_unique<nn::Linear>(nn::LinearOptions{.in = i == 0 ? dim : width,
                                                         .out = i == depth ? dim : width,
                                                         .initial = kInitial,
                                                         .parameters = parameters},
                                       rng));
      add_child(concat("linear", i + 1), *layers_.back());
    }
  }
  ode::Field field(const Shape&, nn::Pass&) const override {
    ode::Field field;
    for (const auto& layer : layers_) {
      field.context.push_back(layer->weight);
      field.context.push_back(layer->bias);
    }
    field.evaluate = [this](const Tensor&, const Tensor& y, const Tensors& c) {
      Tensor a = y;
      for (size_t i = 0; i < layers_.size(); ++i) {
        a = layers_[i]->apply_to(a, c[2 * i], c[2 * i + 1]);
        if (i + 1 < layers_.size()) a = activate(a, activation_);
      }
      return a;
    };
    return field;
  }
  std::string describe() const override { return concat("LinearField, ", name(activation_)); }

 private:
  Activation activation_;
  std::vector<std::unique_ptr<nn::Linear>> layers_;
};

class ConvField final : public ode::FieldModule {
 public:
  ConvField(int64_t width, Activation activation, const nn::ParameterOptions& parameters, Rng& rng)
      : activation_(activation),
        conv1_({.in = 1, .out = width, .kernel = 1, .initial = kInitial, .parameters = parameters},
               rng),
        conv2_({.in = width,
                .out = width,
                .kernel = 3,
                .padding = 1,
                .initial = kInitial,
                .parameters = parameters},
               rng),
        conv3_({.in = width, .out = 1, .kernel = 1, .initial = kInitial, .parameters = parameters},
               rng) {
    add_child("conv1", conv1_);
    add_child("conv2", conv2_);
    add_child("conv3", conv3_);
  }
  // The state is (N, d); the convolutions see (N, d, 1).
  ode::Field field(const Shape&, nn::Pass&) const override {
    return {.context = {conv1_.weight, conv1_.bias, conv2_.weight, conv2_.bias, conv3_.weight,
                        conv3_.bias},
            .evaluate = [this](const Tensor&, const Tensor& y, const Tensors& c) {
              const Tensor a = activate(conv1_.apply_to(unsqueeze(y, 2), c[0], c[1]), activation_);
              const Tensor b = activate(conv2_.apply_to(a, c[2], c[3]), activation_);
              return squeeze(conv3_.apply_to(b, c[4], c[5]), 2);
            }};
  }
  std::string describe() const override { return concat("ConvField, ", name(activation_)); }

 private:
  Activation activation_;
  nn::Conv1d conv1_, conv2_, conv3_;
};

// The ODE on the points, then one linear layer.
class PointClassifier final : public Classifier {
 public:
  PointClassifier(std::string what, const InputFacts& facts,
                  std::unique_ptr<ode::FieldModule> field, const nn::ParameterOptions& parameters,
                  Rng& rng)
      : Classifier(facts),
        what_(std::move(what)),
        ode_(std::move(field)),
        linear_({.in = facts.sample[0],
                 .out = facts.classes,
                 .initial = kInitial,
                 .parameters = parameters},
                rng) {
    add_child("ode", *ode_);
    add_child("linear", linear_);
  }
  Tensor logits(const Tensor& x, nn::Pass& pass,
                const ode::BlockSettings& settings) const override {
    return linear_.forward(ode::solve_block(*ode_, x, pass, settings), pass);
  }
  const ode::FieldModule* sample_field() const override { return ode_.get(); }
  const nn::Linear* sample_head() const override { return &linear_; }
  std::string describe() const override { return what_; }

 private:
  std::string what_;
  std::unique_ptr<ode::FieldModule> ode_;
  nn::Linear linear_;
};

}  // namespace

std::unique_ptr<Classifier> make_spheres_mlp(const Options& options, const InputFacts& facts,
                                             Rng& rng, const nn::ParameterOptions& parameters) {
  auto field = std::make_unique<LinearField>(
      facts.sample[0], options.number("width"), options.number("depth"),
      activation_named(options.choice("activation")), parameters, rng);
  return std::make_unique<PointClassifier>("spheres-mlp", facts, std::move(field), parameters, rng);
}

std::unique_ptr<Classifier> make_spheres_conv(const Options& options, const InputFacts& facts,
                                              Rng& rng, const nn::ParameterOptions& parameters) {
  auto field = std::make_unique<ConvField>(
      options.number("width"), activation_named(options.choice("activation")), parameters, rng);
  return std::make_unique<PointClassifier>("spheres-conv", facts, std::move(field), parameters,
                                           rng);
}

}  // namespace slope::models
