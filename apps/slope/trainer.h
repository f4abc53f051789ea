// Trainer: a training run from its first step, or from a checkpoint, to its end.
#pragma once

#include <csignal>
#include <nlohmann/json.hpp>

#include "apps/slope/evaluation.h"
#include "apps/slope/progress.h"
#include "apps/slope/regime.h"
#include "apps/slope/robust_training.h"
#include "apps/slope/run_folder.h"
#include "nn/schedule.h"

namespace slope::program {

// Where a run stands. Written into the checkpoint, so that a run goes on exactly where it stopped.
struct Position {
  int64_t step = 0;     // optimiser steps done
  int64_t epoch = 0;    // epochs done
  int64_t batch = 0;    // batches done in the epoch that is under way
  double loss_sum = 0;  // over the samples of this epoch so far
  double penalty_sum = 0;
  int64_t correct = 0;
  int64_t seen = 0;
  double seconds = 0;     // of training, evaluations not counted
  int64_t examples = 0;   // of the whole run
  double train_loss = 0;  // mean of the last finished epoch
  double test_accuracy = 0;
  double best_accuracy = 0;  // on the test set
  double validation_accuracy = 0;
  double best_validation = 0;
  double nfe_forward = 0;
  double nfe_backward = 0;
  double robust_accuracy = 0;  // of training samples under PGD, where attacks are trained on
  double best_robust = 0;
};

class Trainer {
 public:
  // resume: a run to go on from, or null. Touches no file: wrong options cost nothing.
  Trainer(const TrainingOptions& options, const Settings& settings, DataSets data,
          const Run* resume);

  // Trains to the end, or until `stop` becomes true: then it saves and returns false. Metrics, log
  // and checkpoints go to the folder.
  bool run(const std::filesystem::path& folder, const volatile std::sig_atomic_t& stop);
  nlohmann::ordered_json result() const;
  const models::Classifier& model() const { return *model_; }
  const ode::Solver& solver() const { return solve_.solver; }
  const DataSets& data() const { return data_; }
  int64_t step() const { return at_.step; }  // optimiser steps done
  // Of the test set after the last step, (size, classes) row after row; empty where no epoch ended.
  const std::vector<double>& test_logits() const { return test_logits_; }

 private:
  // The logits of this step's pass, or of an attack on its batch: both meet the same draw.
  Tensor logits(const Tensor& x, nn::Pass& pass, const ode::BlockSettings& solve) const;
  void read_position(const Run& run);
  // What a checkpoint holds: model, optimiser and, under "optimizer.trained.", the weights that are
  // trained where the model's are their average.
  std::vector<nn::NamedTensor> state() const;
  int64_t total_steps() const;
  // Whether there are terms beside the loss.
  bool penalized() const {
    return solve_.regularize.walks() || solve_.regularize.kinetic > 0 ||
           solve_.regularize.jacobian > 0;
  }
  // The average of the weights in the model's place, and back; nothing without --ema.
  void exchange_average();
  bool train_epoch(const volatile std::sig_atomic_t& stop);
  void end_epoch();
  // Accuracy under attack of some training samples; columns for metrics.csv.
  std::string watch_robustness();
  void tell_draws();
  void save(const std::string& name);
  std::string astray(const std::string& what) const;
  std::string status_line(double rate) const;

  TrainingOptions options_;
  Settings settings_;
  std::filesystem::path folder_;
  DataSets data_;
  nn::Dataset validation_;  // held out of data_.train; empty without --validation
  std::unique_ptr<models::Classifier> model_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  std::unique_ptr<nn::Schedule> schedule_;
  std::unique_ptr<nn::WeightAverage> average_;  // null without --ema
  SolveMeter meter_;
  ode::BlockSettings solve_;
  std::unique_ptr<ode::MetaSolver> meta_;  // of a regime; the draw of a step is a function of its
                                           // number alone
  SolveMeter evaluation_meter_;
  std::unique_ptr<Defence> evaluated_;  // the model as it is tested
  std::unique_ptr<nn::TrainStep> train_step_;
  std::unique_ptr<RobustTraining> robust_;  // with --train-attack or --train-noise
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<nn::Loader> loader_;
  std::unique_ptr<Progress> progress_;  // while it runs
  int64_t keys_ = 0;                    // random keys of one training step
  Position at_;
  std::vector<double> test_logits_;
  std::vector<std::string> warnings_;
  bool overfitted_ = false;     // after the last epoch
  double loading_ = 0;          // seconds spent waiting for batches since this program started
  double resumed_seconds_ = 0;  // of training before that
  double next_line_ = 0;        // seconds of training before the next line of an epoch
};

}  // namespace slope::program
