// Running a model over a data set, and what one forward pass costs.
#pragma once

#include <functional>

#include "apps/models/classifier.h"
#include "nn/data/loader.h"
#include "nn/train.h"

namespace slope::program {

// Collects the statistics of the solves of many forward passes.
class SolveMeter {
 public:
  // To be given to BlockSettings::solves and ::warnings.
  std::vector<std::shared_ptr<ode::Statistics>>* sink() { return &solves_; }
  std::vector<std::string>* warnings() { return &warnings_; }
  // Ends a forward pass (and its gradient). A replayed plan reports nothing new: then the last pass
  // counts again.
  // count: where it was several passes over the batch, of which each counts.
  void end_pass(int64_t count = 1);
  double forward() const {
    return passes_ ? forward_ / static_cast<double>(passes_) : 0;
  }  // mean per pass
  double backward() const { return passes_ ? backward_ / static_cast<double>(passes_) : 0; }
  double last_forward() const { return last_forward_; }  // of the last pass
  double last_backward() const { return last_backward_; }
  void clear() { forward_ = backward_ = 0, passes_ = 0; }

 private:
  std::vector<std::shared_ptr<ode::Statistics>> solves_;
  std::vector<std::string> warnings_;
  double forward_ = 0, backward_ = 0, last_forward_ = 0, last_backward_ = 0;
  int64_t passes_ = 0;
};

struct Accuracy {
  int64_t correct = 0;
  int64_t examples = 0;
  double loss = 0;  // mean
  double nfe = 0;   // mean evaluations of one forward pass; with steps per sample, of a sample
  std::vector<bool> right;  // by sample; outputs that are not finite are wrong
  // What is to be said about it: empty, or that the outputs were not finite.
  std::string warning() const;
  double value() const {
    return examples ? static_cast<double>(correct) / static_cast<double>(examples) : 0;
  }
};

// Whether a solver takes steps that are known beforehand and read no values (as implicit ones do),
// so that a whole pass can be one plan.
bool can_be_captured(const ode::Solver& solver);

// Each solver word with each step count: rk4 and 1, 2 give rk4:1, rk4:2. Without steps the words
// themselves. A word's own steps or tolerance give way.
std::vector<std::string> with_steps(const std::vector<std::string>& words,
                                    const std::vector<int64_t>& steps);

// Evaluates a model on a data set again and again (each epoch) with the same plans.
class Evaluator {
 public:
  // plan: whether a pass may be captured. meter: what the solves of `logits` report to; it lives
  // longer.
  Evaluator(nn::Logits logits, bool plan, SolveMeter& meter);
  // logits: receives those of all samples, (size, classes) row after row, where it is given.
  // on_batch: called with the number of samples so far; false: that is enough.
  Accuracy operator()(const nn::Dataset& data, int64_t batch, Dtype dtype,
                      std::vector<double>* logits = nullptr,
                      const std::function<bool(int64_t)>& on_batch = {});
  // What is doubtful about the solves so far.
  const std::vector<std::string>& warnings() { return *meter_.warnings(); }

 private:
  SolveMeter& meter_;
  nn::EvaluationStep step_;
};

}  // namespace slope::program
