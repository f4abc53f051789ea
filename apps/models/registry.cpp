#include <functional>

#include "apps/models/cifar.h"
#include "apps/models/classifier.h"
#include "apps/models/mnist.h"
#include "apps/models/options.h"
#include "apps/models/pixels.h"
#include "apps/models/spheres.h"
#include "core/nearest.h"
#include "core/word.h"

namespace slope::models {
namespace {

using Make = std::function<std::unique_ptr<Classifier>(const Options&, const InputFacts&, Rng&,
                                                       const nn::ParameterOptions&)>;

struct Registered {
  ModelEntry entry;
  Make make;
};

// An entry of the list; its members in the order in which they are given here.
Registered registered(const std::string& name, const char* what, const char* data,
                      const InputFacts& facts, std::vector<std::string> options, Make make,
                      const PixelFacts& pixels = {}) {
  return {{.name = name,
           .what = what,
           .data = data,
           .facts = facts,
           .options = std::move(options),
           .mean = pixels.mean,
           .std = pixels.std},
          std::move(make)};
}

std::vector<Registered> make_registry() {
  const InputFacts mnist{{28, 28, 1}, 10}, cifar{{32, 32, 3}, 10}, spheres{{2}, 2};
  const std::string downsampling = "downsampling=conv|res",
                    activation = "activation=relu|softplus|gelu|tanh", width = "width=64",
                    point_activation = "activation=relu|leaky_relu|softplus|tanh|gelu";
  std::vector<Registered> all = {
      registered("odenet-mnist", "torchdiffeq's MNIST ODE net: group norm, time channel first",
                 "mnist", mnist, {downsampling, activation}, make_odenet_mnist),
      registered("resnet-mnist", "the same with six residual blocks instead of the ODE", "mnist",
                 mnist, {downsampling, activation}, make_resnet_mnist),
      registered("rknet-mnist", "the batch norm variant: time channel last", "mnist", mnist,
                 {activation}, make_rknet_mnist),
      registered("tisode-mnist", "time-invariant ODE on a 13x13 representation, and its rivals",
                 "mnist", mnist, {"block=tisode|ode|cnn", activation}, make_tisode_mnist),
      registered("cnn-mnist", "two convolutions, two linear layers: for robust training", "mnist",
                 mnist, {activation}, make_cnn_mnist)};
  for (const bool pre : {false, true}) {
    for (const int depth : {4, 6, 10, 18, 34}) {
      all.push_back(registered(
          concat(pre ? "pre" : "", "metanode", depth),
          pre ? "the meta-solver's CIFAR net, activations before convolutions"
              : "the meta-solver's CIFAR net, activations after convolutions",
          "cifar10", cifar,
          {"norm=nf|bn|gn|ln|in", "block=ode|residual", "activation=gelu|relu|softplus|tanh", width,
           "param-norm=none|weight|spectral"},
          [layers = metanode_layers(depth, pre)](const Options& o, const InputFacts& f, Rng& rng,
                                                 const nn::ParameterOptions& p) {
            return make_metanode(layers, o, f, rng, p);
          },
          kMetaSolverPixels));
    }
  }
  all.push_back(registered("odenet-cifar", "the homework's CIFAR net: odenet-mnist with dropout",
                           "cifar10", cifar, {"downsampling=res|conv", activation},
                           make_odenet_cifar, kHomeworkPixels));
  all.push_back(registered("odenet-pixels", "ODE on the image itself, then one linear layer",
                           "cifar10", cifar, {"width=128", activation}, make_odenet_pixels));
  all.push_back(registered("odenet10-ln", "batch norm, layer norm inside the ODE blocks", "cifar10",
                           cifar, {activation, width}, make_odenet10_ln, kCifarPixels));
  all.push_back(registered("node18", "ResNet-18, the second block of each stage an ODE block",
                           "cifar10", cifar, {activation, width}, make_node18, kCifarPixels));
  all.push_back(registered("preactresnet18", "ResNet-18 with pre-activation: for robust training",
                           "cifar10", cifar, {activation, width}, make_preactresnet18,
                           kCifarPixels));
  all.push_back(registered("spheres-mlp", "points: linear layers", "spheres,dim=2", spheres,
                           {"width=32", "depth=1", point_activation}, make_spheres_mlp));
  all.push_back(
      registered("spheres-conv", "points: 1-d convolutions along the coordinates, as published",
                 "spheres,dim=2", spheres, {"width=32", point_activation}, make_spheres_conv));
  for (Registered& r : all) {
    if (!r.entry.name.starts_with("spheres")) continue;
    r.entry.optimizer = "adam";
    r.entry.lr = 0.01;
  }
  return all;
}

const std::vector<Registered>& registry() {
  static const std::vector<Registered> all = make_registry();
  return all;
}

}  // namespace

const std::vector<ModelEntry>& model_list() {
  static const std::vector<ModelEntry> list = [] {
    std::vector<ModelEntry> entries;
    for (const Registered& r : registry()) entries.push_back(r.entry);
    return entries;
  }();
  return list;
}

std::unique_ptr<Classifier> make_model(const std::string& word, const InputFacts* facts, Rng& rng,
                                       const nn::ParameterOptions& parameters) {
  const Word parsed("model", word);
  const std::string& name = parsed.name();
  std::vector<std::string> names;
  for (const Registered& r : registry()) {
    names.push_back(r.entry.name);
    if (r.entry.name != name) continue;
    const Options options(name, r.entry.options, parsed.options());
    const InputFacts input = facts ? *facts : r.entry.facts;
    if (input.sample.rank() != r.entry.facts.sample.rank()) {
      throw ValueError(concat("model: ", name, " is made for samples like ", r.entry.facts.sample,
                              " (", r.entry.data, "), the data has ", input.sample, "."));
    }
    auto model = r.make(options, input, rng, parameters);
    model->word_ = name + options.word();
    return model;
  }
  throw ValueError(concat("model: there is no model ", name, ". Did you mean ",
                          nearest(name, names), "? All of them: slope info models."));
}

}  // namespace slope::models
