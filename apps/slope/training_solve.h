// TrainingSolve: how the ODE blocks of a model are solved while it trains: solver or regime,
// gradient, regularisers, and what they cost.
#pragma once

#include <functional>
#include <memory>

#include "apps/models/classifier.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/training_options.h"
#include "ode/meta.h"

namespace slope::program {

class TrainingSolve {
 public:
  // model: lives longer. Errors, ValueError: options that do not fit each other or the model.
  TrainingSolve(const TrainingOptions& options, const Settings& settings,
                const models::Classifier& model);
  TrainingSolve(const TrainingSolve&) = delete;  // blocks report to its meter

  // x: (N, ..) -> logits (N, classes), in the pass of this step (of a random regime: with the
  // step's draw, a function of its number alone).
  Tensor operator()(const Tensor& x, nn::Pass& pass, int64_t step) const;
  // The same outside of training and without a report: as an attack on the batch sees the model.
  Tensor attacked(const Tensor& x, int64_t step) const;

  // Before the steps of an epoch, the first one being 0. True: passes now compute something else
  // than before (a regulariser begins), so what was captured of them is to be forgotten.
  bool begin_epoch(int64_t epoch);
  // The same under another solver, without a gradient, reporting to another meter (where there is
  // one); on_block: BlockSettings::on_block.
  Tensor under(const ode::Solver& solver, const Tensor& x, SolveMeter* meter,
               const std::function<void(const ode::Field&, const Tensor&)>& on_block = {}) const;
  // Takes another solver from now on. Only without a regime.
  void use(const ode::Solver& solver);

  // Whether a pass does the same in every step, so that it may be captured.
  bool plan() const { return plan_; }
  // Random keys of one training step.
  int64_t key_count() const;
  // Whether there are terms beside the loss.
  bool penalized() const { return regularize_.penalizes(); }
  // As the model is tested: a random regime with its first solver, an ensemble as what it is.
  ode::Regime tested() const;

  const ode::Solver& solver() const { return blocks_.solver; }
  ode::BatchSteps steps() const { return blocks_.steps; }
  bool standalone() const { return !meta_; }
  // How often each solver of a regime was used, of many different ones a few; empty where there is
  // nothing to draw.
  std::string draws_text() const;
  SolveMeter& meter() { return meter_; }

 private:
  Tensor logits(const Tensor& x, nn::Pass& pass, int64_t step,
                const ode::BlockSettings& blocks) const;

  const models::Classifier& model_;
  ode::Regime regime_;
  std::unique_ptr<ode::MetaSolver> meta_;
  SolveMeter meter_;
  ode::BlockSettings blocks_;
  ode::Regularization regularize_;  // of all epochs; blocks_ has this epoch's
  bool plan_;
};

// Takes one step of a network made for it on two samples, with each solver of the options. Solver,
// gradient, stepping, regularisers and layers that do not fit each other show only there:
// ValueError.
void check_one_step(const TrainingOptions& options, const Settings& settings,
                    const nn::Dataset& train);

}  // namespace slope::program
