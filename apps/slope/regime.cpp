#include "apps/slope/regime.h"

#include <algorithm>

#include "core/ops.h"

namespace slope::program {

void add_regime_options(OptionList& options, RegimeOptions& values) {
  options.add("--regime", values.regime,
              "standalone, switching, smoothing, solver-ensemble or model-ensemble; members of a "
              "regime are solvers joined by +");
  options.add(
      "--weights", values.weights,
      "Probabilities (switching) or weights (solver-ensemble), e.g. 0.8,0.2; default: equal");
  options.add("--noise", values.noise,
              "Smoothing: normal or cauchy, scale, reset, clip or resample outside two scales; "
              "default normal,0.0125,reset");
  options.add("--draw", values.draw, "What shares a draw: batch (all blocks of a pass) or block");
  options
      .add("--ensemble", values.ensemble, "Another run for a model-ensemble; repeat it for more")
      ->allow_extra_args(false);
}

ode::Regime regime_of(const RegimeOptions& o, const std::string& solvers) {
  if (!o.ensemble.empty() && o.regime != "model-ensemble")
    throw ValueError(
        "--ensemble: several runs make a model-ensemble; add --regime model-ensemble.");
  if (!o.noise.empty() && o.regime != "smoothing")
    throw ValueError("--noise: only smoothing draws noise; add --regime smoothing.");
  return ode::parse_regime(o.regime, solvers, o.weights, o.noise, o.draw);
}

std::string default_solver(const RegimeOptions& options, const Run& run) {
  const bool one = options.regime == "standalone" || options.regime == "smoothing";
  return one ? run.solver.substr(0, run.solver.find('+')) : run.solver;
}

Members::Members(const Run& run, const RegimeOptions& options, const Settings& settings) {
  for (const std::string& folder : options.ensemble) others_.push_back(open_run(folder, settings));
  models_.push_back(run.model.get());
  for (const Run& other : others_) models_.push_back(other.model.get());
}

nlohmann::ordered_json draws_json(const ode::MetaSolver& meta) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& [word, blocks] : meta.uses())
    list.push_back({{"solver", word}, {"blocks", blocks}});
  return list;
}

Defence::Defence(std::vector<const models::Classifier*> models, const ode::Regime& regime,
                 ode::BatchSteps steps, const ode::GradientChoice& gradient, uint64_t seed,
                 uint32_t stream, SolveMeter* meter)
    : models_(std::move(models)),
      regime_(regime),
      settings_{.solver = regime.solvers.at(0),
                .steps = steps,
                .gradient = gradient.gradient,
                .gradient_options = gradient.options,
                .solves = meter ? meter->sink() : nullptr,
                .warnings = meter ? meter->warnings() : nullptr} {
  for (const models::Classifier* other : models_) {
    const models::InputFacts &a = models_[0]->facts(), &b = other->facts();
    if (a.classes != b.classes || a.sample != b.sample) {
      throw ValueError(concat("ensemble: ", other->word(), " takes ", b.sample, " and tells ",
                              b.classes, " classes apart, ", models_[0]->word(), " ", a.sample,
                              " and ", a.classes, ". They must be the same."));
    }
  }
  const size_t solvers = regime_.solvers.size();
  if (models_.size() > 1 && solvers > 1 && solvers != models_.size()) {
    throw ValueError(concat("ensemble: ", solvers, " solvers for ", models_.size(),
                            " models. Give one solver for all, or one for each, joined by +."));
  }
  if (regime_.kind != ode::RegimeKind::model_ensemble &&
      regime_.kind != ode::RegimeKind::standalone) {
    meta_ = std::make_unique<ode::MetaSolver>(regime_, seed, stream);
    settings_.meta = meta_.get();
    // Plans are kept for steps that come again: those of a drawn method do not.
    settings_.plans = regime_.kind != ode::RegimeKind::smoothing;
  }
  const bool fixed = std::all_of(regime_.solvers.begin(), regime_.solvers.end(), can_be_captured);
  const bool blocks = std::any_of(models_.begin(), models_.end(),
                                  [](const models::Classifier* m) { return m->has_ode(); });
  plan_ = !blocks || (fixed && !regime_.random());
}

Tensor Defence::operator()(const Tensor& x, nn::Pass& pass) {
  if (regime_.kind == ode::RegimeKind::model_ensemble) return ensemble(x, pass);
  if (meta_) meta_->begin_pass();
  return models_[0]->logits(x, pass, settings_);
}

Tensor Defence::ensemble(const Tensor& x, nn::Pass& pass) const {
  const size_t count = std::max(models_.size(), regime_.solvers.size());
  Tensor sum;
  for (size_t i = 0; i < count; ++i) {
    ode::BlockSettings settings = settings_;
    settings.solver = regime_.solvers[regime_.solvers.size() == 1 ? 0 : i];
    const Tensor p = softmax(models_[models_.size() == 1 ? 0 : i]->logits(x, pass, settings));
    sum = sum.defined() ? sum + p : p;
  }
  // The floor keeps the logarithm of a probability that has underflowed finite.
  return log(maximum(sum / static_cast<double>(count), 1e-30));
}

bool Defence::adaptive() const {
  const bool solver = std::any_of(
      regime_.solvers.begin(), regime_.solvers.end(),
      [](const ode::Solver& s) { return std::holds_alternative<ode::Adaptive>(s.stepping); });
  return solver && std::any_of(models_.begin(), models_.end(),
                               [](const models::Classifier* m) { return m->has_ode(); });
}

std::string Defence::stepping() const {
  return ode::name(adaptive() ? settings_.steps : ode::BatchSteps::shared);
}

bool Defence::has_adjoint_gradient() const {
  const bool adjoint = settings_.gradient == ode::Gradient::adjoint ||
                       settings_.gradient == ode::Gradient::adjoint_seminorm;
  return adjoint && std::any_of(models_.begin(), models_.end(),
                                [](const models::Classifier* m) { return m->has_ode(); });
}

bool Defence::couples_samples() const {
  return adaptive() && settings_.steps == ode::BatchSteps::shared;
}

}  // namespace slope::program
