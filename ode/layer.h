// An ODE block in a network: a field that is a module, solved from t = 0 to t = 1.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"
#include "ode/gradient.h"
#include "ode/meta.h"
#include "ode/regularize.h"

namespace slope::ode {

// A field with named parameters. Register it as a child of the model.
class FieldModule : public nn::Module {
 public:
  // The field for one solve that starts at a state of this shape. What is made once per solve (maps
  // of the time channel, dropout masks) is made here, on the caller's tape, and put into the
  // context. The field may refer to the module, but to `pass` only where it collects updates
  // (training); then it must set evaluate_again.
  virtual Field field(const Shape& state, nn::Pass& pass) const = 0;

  // Plans of this field's steps, kept from solve to solve: one set each for training and
  // evaluation, since a field may behave differently.
  StepPlans& step_plans(bool training) const {
    return training ? training_plans_ : evaluation_plans_;
  }

 private:
  mutable StepPlans training_plans_, evaluation_plans_;
};

// Who takes the steps of an adaptive solve: all samples of the batch the same, or each its own.
// Fixed steps are the same for all anyway.
enum class BatchSteps { shared, per_sample };
const char* name(BatchSteps steps);  // "shared", "per-sample"
// Anything else than these words: ValueError.
BatchSteps parse_batch_steps(const std::string& word);

// How the ODE blocks of one forward pass are solved.
struct BlockSettings {
  Solver solver;
  BatchSteps steps = BatchSteps::shared;
  MetaSolver* meta = nullptr;  // hands out the solvers of each block in place of `solver`
  Gradient gradient = Gradient::checkpointed;
  GradientOptions gradient_options = {};
  bool plans = true;               // replay steps where the solve itself is not captured
  Regularization regularize = {};  // in training: adds to Pass::penalties, takes keys of the pass
  // Receives the statistics of each block's solve; its gradient adds to them later.
  std::vector<std::shared_ptr<Statistics>>* solves = nullptr;
  // Receives Solution::warnings, each text once.
  std::vector<std::string>* warnings = nullptr;
  // Sees each block before it is solved: its field, and the state (N, ..) that it starts from.
  std::function<void(const Field& field, const Tensor& y0)> on_block = {};
};

// The random keys that the regularisers of all ODE blocks of a model take in one training pass.
int64_t key_count(const nn::Module& model, const Regularization& regularize);

// y(1) of y' = f(t, y), y(0) = x. x: (N, ..) -> like x. Throws SolveError when the solve fails, and
// ValueError for steps per sample of a field that collects statistics of the batch, and for
// regularisers that need shared steps and an exact gradient (Regularization::walks) where these
// are others.
Tensor solve_block(const FieldModule& module, const Tensor& x, nn::Pass& pass,
                   const BlockSettings& settings);

// A block as a layer, for networks that solve it the same way every time:
//   net.add("ode", std::make_unique<OdeLayer>(std::make_unique<MyField>(..), settings));
// The field is its child "field". x: (N, ..) -> like x. Errors: as solve_block().
class OdeLayer final : public nn::Layer {
 public:
  OdeLayer(std::unique_ptr<FieldModule> field, BlockSettings settings);
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    return solve_block(*field_, x, pass, settings_);
  }
  std::string describe() const override;

  const FieldModule& field() const { return *field_; }

 protected:
  int64_t own_key_count() const override { return settings_.regularize.keys(); }

 private:
  std::unique_ptr<FieldModule> field_;
  BlockSettings settings_;
};

}  // namespace slope::ode
