#include "ode/layer.h"

#include <algorithm>

#include "core/ops/pointwise.h"
#include "ode/gradient_per_sample.h"
#include "ode/solver_word.h"

namespace slope::ode {
namespace {

void collect(const std::vector<std::string>& warnings, const BlockSettings& settings) {
  if (!settings.warnings) return;
  for (const std::string& text : warnings) {
    std::vector<std::string>& all = *settings.warnings;
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
  }
}

// The end of one stretch of a block's problem; the terms of its steps are added to penalties.
Tensor solve_stretch(const RegularizedField& problem, const Stretch& stretch, const Solver& solver,
                     StepPlans* plans, const BlockSettings& settings, Tensors* penalties) {
  const std::vector<double> times = {stretch.begin, stretch.end};
  const bool own_steps =
      settings.steps == BatchSteps::per_sample && std::holds_alternative<Adaptive>(solver.stepping);
  Tensor end;
  std::shared_ptr<Statistics> statistics;
  if (stretch.weights.walks()) {
    const bool exact =
        settings.gradient == Gradient::through || settings.gradient == Gradient::checkpointed;
    if (own_steps || !exact) {
      throw ValueError(
          "regularize: error and stiffness need --stepping shared, and --gradient checkpointed "
          "or through.");
    }
    const Walk walked =
        walk(problem.field, problem.y0, solver, stretch.weights, stretch.begin, stretch.end);
    penalties->push_back(walked.penalty);
    end = walked.y1;
    statistics = walked.statistics;
  } else if (own_steps) {
    const PerSampleSolution own =
        solve_per_sample_differentiable(problem.field, problem.y0, {times}, solver,
                                        settings.gradient, plans, settings.gradient_options);
    collect(own.warnings, settings);
    end = own.or_throw().ys.back();
    statistics = own.total;
  } else {
    const Solution solution =
        solve_differentiable(problem.field, problem.y0, times, solver, settings.gradient, plans,
                             settings.gradient_options);
    collect(solution.warnings, settings);
    end = solution.or_throw().ys.back();
    statistics = solution.statistics;
  }
  if (settings.solves) settings.solves->push_back(statistics);
  return end;
}

struct Solved {
  Tensor y;
  Tensors penalties;  // () each
};
// The solve of a block under one solver, stretch by stretch. keys: of the regularisers.
Solved solve_by(const Field& field, const Tensor& x, const Solver& solver,
                const Regularization& wish, const Tensors& keys, StepPlans* plans,
                const BlockSettings& settings) {
  Solved result;
  Tensor state = x;
  Tensors integrals;  // of |f|, for the steady-state loss
  for (const Stretch& stretch : stretches(wish)) {
    const bool steady = stretch.weights.steady.weight > 0;
    const RegularizedField problem = regularized_field(field, state, stretch.weights, keys);
    StepPlans* own_plans = plans && steady ? &plans->of("steady") : plans;
    const Tensor end = solve_stretch(problem, stretch, on_stretch(solver, stretch), own_plans,
                                     settings, &result.penalties);
    state = problem.end(end);
    if (stretch.end == 1) result.y = state;
    if (const Tensor penalty = problem.penalty(end); penalty.defined())
      result.penalties.push_back(penalty);
    if (steady) integrals.push_back(problem.steady(end));
  }
  if (!integrals.empty()) result.penalties.push_back(steady_penalty(wish.steady, integrals));
  return result;
}

}  // namespace

const char* name(BatchSteps steps) { return steps == BatchSteps::shared ? "shared" : "per-sample"; }

BatchSteps parse_batch_steps(const std::string& word) {
  for (BatchSteps steps : {BatchSteps::shared, BatchSteps::per_sample}) {
    if (word == name(steps)) return steps;
  }
  throw ValueError(
      concat("stepping: there is no stepping \"", word, "\". Write shared or per-sample."));
}

int64_t key_count(const nn::Module& model, const Regularization& regularize) {
  int64_t count = dynamic_cast<const FieldModule*>(&model) ? regularize.keys() : 0;
  for (const auto& [name, child] : model.children()) count += key_count(*child, regularize);
  return count;
}

Tensor solve_block(const FieldModule& module, const Tensor& x, nn::Pass& pass,
                   const BlockSettings& settings) {
  return module.traced([&] {
    const Regularization wish = pass.training ? settings.regularize : Regularization{};
    Tensors keys;
    while (static_cast<int64_t>(keys.size()) < wish.keys()) keys.push_back(pass.next_key());
    const Field field = module.field(x.shape(), pass);
    if (settings.on_block) settings.on_block(field, x);
    StepPlans* plans = settings.plans ? &module.step_plans(pass.training) : nullptr;
    // weight: of this solver's penalties among those of an ensemble.
    const auto solved = [&](const Solver& solver, double weight) {
      const Solved found = solve_by(field, x, solver, wish, keys, plans, settings);
      for (const Tensor& penalty : found.penalties)
        pass.penalties.push_back(weight == 1 ? penalty : penalty * weight);
      return found.y;
    };
    if (!settings.meta) return solved(settings.solver, 1);
    const std::vector<MetaSolver::Member> members = settings.meta->next_block();
    if (members.size() == 1) return solved(members[0].solver, 1);
    Tensor sum;
    for (const auto& [solver, weight] : members) {
      const Tensor part = solved(solver, weight) * weight;
      sum = sum.defined() ? sum + part : part;
    }
    return sum;
  });
}

OdeLayer::OdeLayer(std::unique_ptr<FieldModule> field, BlockSettings settings)
    : field_(std::move(field)), settings_(std::move(settings)) {
  add_child("field", *field_);
}

std::string OdeLayer::describe() const {
  return concat("OdeLayer ", settings_.meta ? "under a regime" : solver_word(settings_.solver));
}

}  // namespace slope::ode
