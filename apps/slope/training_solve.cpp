#include "apps/slope/training_solve.h"

#include <algorithm>

#include "apps/slope/regime.h"
#include "apps/slope/solver_path.h"
#include "nn/train.h"
#include "ode/regularize.h"
#include "ode/solver_word.h"

namespace slope::program {

TrainingSolve::TrainingSolve(const TrainingOptions& options, const Settings& settings,
                             const models::Classifier& model)
    : model_(model),
      regime_(ode::parse_regime(options.regime, options.solver, options.weights, options.noise,
                                options.draw)) {
  if (regime_.kind == ode::RegimeKind::model_ensemble)
    throw ValueError("train: the members of a model-ensemble are trained one by one.");
  if (!options.noise.empty() && regime_.kind != ode::RegimeKind::smoothing)
    throw ValueError("--noise: only smoothing draws noise; add --regime smoothing.");
  if (regime_.kind != ode::RegimeKind::standalone)
    meta_ = std::make_unique<ode::MetaSolver>(regime_, settings.seed, kTrainingStream);
  const ode::GradientChoice gradient = ode::parse_gradient_word(options.gradient);
  blocks_ = {.solver = regime_.solvers[0],
             .steps = ode::parse_batch_steps(options.stepping),
             .meta = meta_.get(),
             .gradient = gradient.gradient,
             .gradient_options = gradient.options,
             .plans = regime_.kind != ode::RegimeKind::smoothing,  // each method is new there
             .regularize = ode::parse_regularization(options.regularize),
             .solves = meter_.sink(),
             .warnings = meter_.warnings()};
  regularize_ = blocks_.regularize;
  if (!regularize_.none() && !model.has_ode())
    throw ValueError(concat("regularize: ", options.model, " has no ODE block."));
  const bool fixed = !regime_.random() &&
                     std::all_of(regime_.solvers.begin(), regime_.solvers.end(), can_be_captured);
  plan_ = fixed || !model.has_ode();
}

Tensor TrainingSolve::logits(const Tensor& x, nn::Pass& pass, int64_t step,
                             const ode::BlockSettings& blocks) const {
  if (meta_) meta_->begin_pass(step);
  return model_.logits(x, pass, blocks);
}

Tensor TrainingSolve::operator()(const Tensor& x, nn::Pass& pass, int64_t step) const {
  return logits(x, pass, step, blocks_);
}

Tensor TrainingSolve::attacked(const Tensor& x, int64_t step) const {
  ode::BlockSettings blocks = blocks_;
  blocks.solves = nullptr;
  blocks.warnings = nullptr;
  nn::Pass pass;
  return logits(x, pass, step, blocks);
}

Tensor TrainingSolve::under(
    const ode::Solver& solver, const Tensor& x, SolveMeter* meter,
    const std::function<void(const ode::Field&, const Tensor&)>& on_block) const {
  ode::BlockSettings blocks = blocks_;
  blocks.solver = solver;
  blocks.solves = meter ? meter->sink() : nullptr;
  blocks.warnings = nullptr;
  blocks.on_block = on_block;
  nn::Pass pass;
  return model_.logits(x, pass, blocks);
}

void TrainingSolve::use(const ode::Solver& solver) {
  SLOPE_ASSERT(standalone());
  blocks_.solver = solver;
  regime_.solvers = {solver};
}

int64_t TrainingSolve::key_count() const {
  return model_.key_count() + ode::key_count(model_, regularize_);
}

bool TrainingSolve::begin_epoch(int64_t epoch) {
  const double before = blocks_.regularize.steady.weight;
  blocks_.regularize = regularize_.in_epoch(epoch);
  return blocks_.regularize.steady.weight != before;
}

ode::Regime TrainingSolve::tested() const {
  return regime_.random() ? ode::Regime{.solvers = {regime_.solvers[0]}} : regime_;
}

std::string TrainingSolve::draws_text() const {
  if (!meta_ || !model_.has_ode()) return {};
  constexpr size_t kShown = 6;
  const auto& uses = meta_->uses();
  std::string text = concat("solvers drawn (", uses.size(), " different ones):");
  for (size_t i = 0; i < std::min(uses.size(), kShown); ++i)
    text += concat(i ? ", " : " ", uses[i].first, " ", uses[i].second, " times");
  return uses.size() > kShown ? text + ", .." : text;
}

void check_one_step(const TrainingOptions& options, const Settings& settings,
                    const nn::Dataset& train) {
  TrainingOptions one = options;
  one.regime = "standalone";
  one.weights = one.noise = "";
  const ode::Regime regime = ode::parse_regime(options.regime, options.solver, options.weights,
                                               options.noise, options.draw);
  for (const ode::Solver& solver : regime.solvers) {
    one.solver = ode::solver_word(solver);
    const auto model = new_model(one, settings, train);
    const TrainingSolve solve(one, settings, *model);
    const auto optimizer = nn::make_optimizer("sgd", model->named_parameters());
    nn::TrainStep step([&](const Tensor& x, nn::Pass& pass) { return solve(x, pass, 0); },
                       *optimizer, {.plan = false});
    const nn::Batch two = nn::make_batch(train, spread(train.size(), 2), settings.value_dtype());
    try {
      step(two.x, two.labels, optimizer->numbers(0, 0, 1),
           nn::step_keys(settings.seed, solve.key_count(), 0));
    } catch (const SolveError&) {
      // Whether a solve succeeds depends on the samples: the training will tell.
    }
  }
}

}  // namespace slope::program
