// Adapting a solver while a model is trained with it: steps as coarse, or a tolerance as loose, as
// the model's accuracy allows (Ott, Katiyar, Hennig, Tiemann 2021, "ResNet After All", algorithms 2
// and 3). Now and then a batch is decided by a more accurate solver too: where its accuracy is
// another, the training solver is refined, else a coarser one is tried.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ode/field.h"
#include "ode/solver.h"

namespace slope::ode {

enum class AdaptKind { step, tolerance };

// "step" or "tolerance", and what they go by. The defaults are the published values.
struct AdaptRules {
  AdaptKind kind = AdaptKind::step;
  int64_t every = 50;       // training steps between two decisions
  double threshold = 0.1;   // accuracies further apart than this are different
  int64_t max_steps = 500;  // of a fixed-step solve
  double first = 0;         // step or tolerance; 0: first_step(), or a tolerance of 1e-6
  std::string test = {};    // name of the more accurate method; "": test_method()
};
// "step,every=50,threshold=0.1,max-steps=500,first=0.1,test=rk4" or "tolerance,..", without
// max-steps. Errors, all ValueError: another name, numbers that are none or out of range, an
// unknown test method.
AdaptRules parse_adapt(const std::string& word);

// ---- the rules, in plain doubles ----

// The first step of a method of this order, after Hairer, Norsett and Wanner, with lengths in place
// of scaled errors and no upper bound. lengths: |y0|, |f(y0)| and |f(y0 + h0 f(y0)) - f(y0)| / h0,
// where h0 = trial_step(|y0|, |f(y0)|).
double first_step(double h0, double slope, double change, int order);
// The step with which a method of order q is about 50 times as accurate as one of order p with
// step h, orders alone considered: h itself where 1 / h^(q - p) > 50, else (h^p / 50)^(1/q).
double test_step(double h, int order, int test_order);
// Half of h. Where that would be more than max_steps: the mean of its number of steps and
// max_steps; h itself at max_steps.
double finer_step(double h, int64_t max_steps);
double coarser_step(double h);  // 1.1 h, at most 1

// The method that a training method is compared with. Published: midpoint for euler, the 3/8 rule
// for midpoint; dopri5 for fehlberg2, and for itself with a lower tolerance. Others by their order.
Method test_method(const Method& training, AdaptKind kind);

// ---- a solver under adaptation ----

// How a batch is decided under a solver.
struct BatchResult {
  double accuracy = 0;  // correct / samples
  double nfe = 0;       // evaluations of one forward pass
};
using MeasureBatch = std::function<BatchResult(const Solver&)>;

// One decision, for logs. size: the step, or the relative tolerance.
struct AdaptDecision {
  enum class Change { finer, coarser, kept, at_limit };
  Change change = Change::kept;
  double before = 0, after = 0;
  double train = 0, test = 0;  // accuracies of the training solver and the more accurate one
  double trial = -1;           // of the coarser one, where it was tried
  double test_size = 0;        // step or tolerance of the more accurate one
};
const char* name(AdaptDecision::Change change);  // "finer", "coarser", "kept", "at-limit"

class SolverAdaptation {
 public:
  // start: its method, and how an adaptive one's two tolerances compare, is what counts; its step
  // or tolerance only as rules.first says. dtype: of the state, for the least tolerance that can be
  // reached. Errors (ValueError): steps of an adaptive method, a tolerance of fixed steps.
  SolverAdaptation(const AdaptRules& rules, const Solver& start, Dtype dtype);

  // Whether it still needs start_with(): a step that the field chooses.
  bool wants_start() const { return size_ == 0; }
  // The first step from a block's own field and states; of several blocks the smallest counts.
  // y0: (N, .., d); its length is that of the last axis, of pictures (N, H, W, C) that of W.
  void start_with(const Field& field, const Tensor& y0);

  // Whether a decision belongs to this training step (counted from 0).
  bool due(int64_t step) const { return (step + 1) % rules_.every == 0; }
  // measure: of the batch of this step, with the weights from before it.
  AdaptDecision decide(int64_t step, const MeasureBatch& measure);
  // Evaluations of each training step; the tolerance's rule looks at the last five.
  void observe(double nfe);

  // The solver to train with now.
  Solver solver() const { return sized(size_); }
  // The step or relative tolerance.
  double size() const { return size_; }
  // All that it knows, for checkpoints: always six numbers, -1 for one that there is not yet.
  std::vector<double> state() const;
  // Takes what state() has given. False: numbers that cannot be.
  bool restore(const std::vector<double>& values);

 private:
  Solver sized(double size) const;
  AdaptDecision decide_step(const MeasureBatch& measure);
  AdaptDecision decide_tolerance(int64_t step, const MeasureBatch& measure);
  bool differ(double a, double b) const;

  AdaptRules rules_;
  Solver start_;
  Method test_;
  double least_tolerance_;
  double size_ = 0;
  std::vector<double> nfe_;  // of the last five training steps, the latest last
};

}  // namespace slope::ode
