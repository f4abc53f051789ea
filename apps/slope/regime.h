// A trained model, or several, under a regime: from images to logits. And the options that choose
// one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/slope/evaluation.h"
#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"
#include "ode/meta.h"

namespace slope::program {

struct RegimeOptions {
  std::string regime = "standalone";
  std::string weights, noise;
  std::string draw = "batch";
  std::vector<std::string> ensemble;  // further run folders
};
void add_regime_options(OptionList& options, RegimeOptions& values);
// solvers: solver words joined by '+'. Errors: as ode::parse_regime; a standalone regime with
// several solvers.
ode::Regime regime_of(const RegimeOptions& options, const std::string& solvers);

// The solver that a run is used with unless another is named: that of its training, of several
// members the first where the regime takes one.
std::string default_solver(const RegimeOptions& options, const Run& run);

// The models of a regime: a run's own, and those of --ensemble.
class Members {
 public:
  Members(const Run& run, const RegimeOptions& options, const Settings& settings);
  const std::vector<const models::Classifier*>& models() const { return models_; }

 private:
  std::vector<Run> others_;
  std::vector<const models::Classifier*> models_;
};

// What a random regime has drawn: [{"solver": .., "blocks": ..}].
nlohmann::ordered_json draws_json(const ode::MetaSolver& meta);

// Streams of the draws: of what is evaluated, of an attack's own copy of it, and of a training.
constexpr uint32_t kDefenceStream = 0x52000000, kAttackerStream = 0x52000001,
                   kTrainingStream = 0x52000002;

class Defence {
 public:
  // The models and the meter live longer; more than one for a model ensemble only. Errors: classes
  // or shapes that differ; solvers that do not fit the models.
  Defence(std::vector<const models::Classifier*> models, const ode::Regime& regime,
          ode::BatchSteps steps, const ode::GradientChoice& gradient, uint64_t seed,
          uint32_t stream, SolveMeter* meter = nullptr);
  Defence(const Defence&) = delete;

  // x: (N, ..) -> logits (N, classes), of an ensemble of models the log of the mean probability.
  // One pass: a random regime draws anew.
  Tensor operator()(const Tensor& x, nn::Pass& pass);
  // Each pass does the same, in steps that are known beforehand: it may be captured.
  bool plan() const { return plan_; }
  bool random() const { return regime_.random() && models_[0]->has_ode(); }
  // "per-sample" where a solver has adaptive steps and each sample its own, else "shared".
  std::string stepping() const;
  // Adaptive steps that all samples of a batch share.
  bool couples_samples() const;
  // Its gradient is a continuous adjoint, which is not exactly that of the computed solution.
  bool has_adjoint_gradient() const;
  const ode::MetaSolver* meta() const { return meta_.get(); }

 private:
  Tensor ensemble(const Tensor& x, nn::Pass& pass) const;
  bool adaptive() const;  // some solver of a model that has blocks

  std::vector<const models::Classifier*> models_;
  ode::Regime regime_;
  ode::BlockSettings settings_;
  std::unique_ptr<ode::MetaSolver> meta_;
  bool plan_;
};

}  // namespace slope::program
