// Classifier: a published network, from images (or points) to logits, with its ODE blocks solved as
// asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/initialize.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "ode/layer.h"

namespace slope::models {

// What a model is made for.
struct InputFacts {
  Shape sample;  // one sample without the batch axis: (28, 28, 1), or (2) for points in the plane
  int64_t classes = 10;
};

class Classifier : public nn::Module {
 public:
  explicit Classifier(InputFacts facts) : facts_(facts) {}
  // x: (N, facts().sample) -> (N, classes).
  virtual Tensor logits(const Tensor& x, nn::Pass& pass,
                        const ode::BlockSettings& settings) const = 0;
  // False: there is no ODE block, and the solver does not matter.
  virtual bool has_ode() const { return true; }
  // The ODE block's field where its state is the sample itself, so that it can be drawn (points);
  // null elsewhere.
  virtual const ode::FieldModule* sample_field() const { return nullptr; }
  // The layer that decides from the end of that ODE; null where sample_field is.
  virtual const nn::Linear* sample_head() const { return nullptr; }
  const InputFacts& facts() const { return facts_; }
  // The word it was made from, with every option that is not the default.
  const std::string& word() const { return word_; }

 private:
  friend std::unique_ptr<Classifier> make_model(const std::string&, const InputFacts*, Rng&,
                                                const nn::ParameterOptions&);
  InputFacts facts_;
  std::string word_;
};

struct ModelEntry {
  std::string name;
  std::string what;                  // one line for people
  std::string data;                  // the data set it is made for: "mnist", "spheres,dim=2"
  InputFacts facts;                  // of that data set
  std::vector<std::string> options;  // "downsampling=conv|res", the default first
  // What it trains well with where nothing else is asked for.
  std::string optimizer = "sgd";
  double lr = 0.05;
  // Pixels in [0, 1] become (pixel - mean) / std in its first layer; one number for each channel,
  // none where they stay as they are.
  std::vector<double> mean = {}, std = {};
};
// All models, in the order in which they are listed.
const std::vector<ModelEntry>& model_list();

// word: NAME[,option=value]... facts: null for the model's own data set. Parameters are drawn from
// rng. Errors, all ValueError: unknown model or option (the nearest name is offered), input of
// another shape.
std::unique_ptr<Classifier> make_model(const std::string& word, const InputFacts* facts, Rng& rng,
                                       const nn::ParameterOptions& options = {});

}  // namespace slope::models
