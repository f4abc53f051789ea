#include "apps/models/classifier.h"
#include "apps/models/mnist.h"
#include "apps/models/options.h"
#include "apps/models/spheres.h"
#include "core/nearest.h"
#include "core/word.h"

namespace slope::models {
namespace {

using Make = std::unique_ptr<Classifier> (*)(const Options&, const InputFacts&, Rng&,
                                             const nn::ParameterOptions&);

struct Registered {
  ModelEntry entry;
  Make make;
};

const std::vector<Registered>& registry() {
  const InputFacts mnist{{28, 28, 1}, 10}, spheres{{2}, 2};
  const std::string downsampling = "downsampling=conv|res",
                    activation = "activation=relu|softplus|gelu|tanh";
  const std::string point_activation = "activation=relu|leaky_relu|softplus|tanh|gelu";
  static const std::vector<Registered> all = {
      {{"odenet-mnist",
        "torchdiffeq's MNIST ODE net: group norm, time channel first",
        "mnist",
        mnist,
        {downsampling, activation}},
       make_odenet_mnist},
      {{"resnet-mnist",
        "the same with six residual blocks instead of the ODE",
        "mnist",
        mnist,
        {downsampling, activation}},
       make_resnet_mnist},
      {{"rknet-mnist", "the batch norm variant: time channel last", "mnist", mnist, {activation}},
       make_rknet_mnist},
      {{"spheres-mlp",
        "points: linear layers",
        "spheres,dim=2",
        spheres,
        {"width=32", "depth=1", point_activation},
        "adam",
        0.01},
       make_spheres_mlp},
      {{"spheres-conv",
        "points: 1-d convolutions along the coordinates, as published",
        "spheres,dim=2",
        spheres,
        {"width=32", point_activation},
        "adam",
        0.01},
       make_spheres_conv}};
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

Shape torch_shape(const Shape& s) {
  if (s.rank() == 4) return {s[0], s[3], s[1], s[2]};
  if (s.rank() == 3) return {s[0], s[2], s[1]};
  return s;
}

}  // namespace slope::models
