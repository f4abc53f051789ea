// Trainer: a training run from its first step, or from a checkpoint, to its end.
#pragma once

#include <csignal>
#include <nlohmann/json.hpp>

#include "apps/slope/evaluation.h"
#include "apps/slope/regime.h"
#include "apps/slope/robust_training.h"
#include "apps/slope/run_folder.h"
#include "apps/slope/training_adapt.h"
#include "apps/slope/training_position.h"
#include "apps/slope/training_record.h"
#include "apps/slope/training_solve.h"

namespace slope::program {

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
  const ode::Solver& solver() const { return solve_.solver(); }
  const DataSets& data() const { return data_; }
  int64_t step() const { return at_.step; }  // optimiser steps done
  int64_t epoch_steps() const { return loader_->batches(); }
  // Of the test set after the last step, (size, classes) row after row; empty where no epoch ended.
  const std::vector<double>& test_logits() const { return test_logits_; }

 private:
  // What a checkpoint holds: model, optimiser and, under "optimizer.trained.", the weights that are
  // trained where the model's are their average.
  std::vector<nn::NamedTensor> state() const;
  void restore(const Run& run);
  void save(const std::string& name);
  // The average of the weights in the model's place, and back; nothing without --ema.
  void exchange_average();
  // Of a whole training with these options.
  int64_t steps_in(const TrainingOptions& options) const;
  int64_t total_steps() const { return steps_in(options_); }
  std::vector<std::string> further_columns() const;

  void make_evaluator();
  // Where the solver is adapted: what was captured or made for the old one goes.
  void renew_solver();
  bool train_epoch(const volatile std::sig_atomic_t& stop);
  void count(const nn::StepResult& result, int64_t samples);
  bool end_epoch(const volatile std::sig_atomic_t& stop);
  // --bn-batches: BatchNorm's statistics over the first batches of the epoch that ends, in the
  // model's place. False when it was stopped; then nothing has changed.
  bool renew_statistics(const volatile std::sig_atomic_t& stop);
  // Loss and accuracy on what is held out, for the record. True where it has never been better.
  bool validate(EpochResult& result, double& loss);
  // Accuracy under attack of some training samples, for the record.
  void watch_robustness(EpochResult& result);
  void tell_memory();
  std::string astray(const std::string& what) const;

  TrainingOptions options_;
  Settings settings_;
  std::filesystem::path folder_;
  DataSets data_;
  nn::Dataset validation_;  // held out of data_.train; empty without --validation
  std::unique_ptr<models::Classifier> model_;
  TrainingSolve solve_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  std::unique_ptr<nn::Schedule> schedule_;
  std::unique_ptr<nn::WeightAverage> average_;  // null without --ema
  std::unique_ptr<nn::TrainStep> train_step_;
  std::unique_ptr<TrainingAdapt> adapt_;    // with --adapt
  std::unique_ptr<RobustTraining> robust_;  // with --train-attack or --train-noise
  SolveMeter evaluation_meter_;
  std::unique_ptr<Defence> evaluated_;  // the model as it is tested
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<nn::StatisticsStep> statistics_;  // with --bn-batches
  std::unique_ptr<nn::Loader> loader_;
  TrainingRecord record_;
  Position at_;
  std::vector<double> test_logits_;
  bool overfitted_ = false;           // after the last epoch
  std::string started_;               // with --init: from which weights
  std::vector<std::string> notices_;  // what is to be told before the first step
  uint32_t data_sum_ = 0;             // of the training samples
  double loading_ = 0;          // seconds spent waiting for batches since this program started
  double resumed_seconds_ = 0;  // of training before that
};

}  // namespace slope::program
