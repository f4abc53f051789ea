// TrainingAdapt: --adapt in a training run: when the solver is judged, on which batch, and
// adapt.csv.
#pragma once

#include <filesystem>
#include <optional>

#include "apps/slope/training_position.h"
#include "apps/slope/training_solve.h"
#include "ode/adapt.h"

namespace slope::program {

class TrainingAdapt {
 public:
  // word: as ode::parse_adapt has it. solve: lives longer. Errors, ValueError: words, models and
  // solvers that cannot be adapted.
  TrainingAdapt(const std::string& word, const models::Classifier& model, Dtype dtype,
                TrainingSolve& solve);

  // Starts adapt.csv in a run folder, with the decisions up to this step that are there already.
  void open(const std::filesystem::path& folder, int64_t step);

  // Before a training step on this batch. x: (N, ..), labels: int32 (N). Chooses the solver of the
  // very first one, and decides where it is time to: by accuracies with the weights from before
  // the step. True where the solver is another.
  bool before_step(int64_t step, const Tensor& x, const Tensor& labels);
  // After it: a decision takes effect. step: as before. True where the solver is another.
  bool after_step(int64_t step);

  double size() const { return adaptation_.size(); }
  // Of fixed steps, how many they are.
  std::optional<int64_t> steps() const;
  std::string solver_word() const;

  void write(nn::Metadata& metadata) const;
  void read(const MetadataReader& reader);

 private:
  void log(int64_t step, const ode::AdaptDecision* decision) const;

  TrainingSolve& solve_;
  ode::AdaptKind kind_;
  ode::SolverAdaptation adaptation_;
  std::optional<ode::AdaptDecision> decision_;  // of the step under way
  std::filesystem::path file_;
};

}  // namespace slope::program
