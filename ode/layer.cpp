#include "ode/layer.h"

#include <algorithm>

#include "core/ops/pointwise.h"
#include "ode/gradient_per_sample.h"

namespace slope::ode {
namespace {

void collect(const std::vector<std::string>& warnings, const BlockSettings& settings) {
  if (!settings.warnings) return;
  for (const std::string& text : warnings) {
    std::vector<std::string>& all = *settings.warnings;
    if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
  }
}

struct Solved {
  Tensor y;
  Tensors penalties;  // () each
};
// The end of a block's problem, under one solver.
Solved solve_by(const RegularizedField& problem, const Solver& solver, const Regularization& wish,
                StepPlans* plans, const BlockSettings& settings) {
  const std::vector<double> times = {0, 1};
  const bool own_steps =
      settings.steps == BatchSteps::per_sample && std::holds_alternative<Adaptive>(solver.stepping);
  Solved result;
  Tensor end;
  std::shared_ptr<Statistics> statistics;
  if (wish.walks()) {
    const bool exact =
        settings.gradient == Gradient::through || settings.gradient == Gradient::checkpointed;
    if (own_steps || !exact) {
      throw ValueError(
          "regularize: error and stiffness need --stepping shared, and --gradient checkpointed "
          "or through.");
    }
    const Walk walked = walk(problem.field, problem.y0, solver, wish);
    result.penalties.push_back(walked.penalty);
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
  if (const Tensor penalty = problem.penalty(end); penalty.defined())
    result.penalties.push_back(penalty);
  result.y = problem.end(end);
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
    const RegularizedField problem =
        regularized_field(module.field(x.shape(), pass), x, wish, keys);
    StepPlans* plans = settings.plans ? &module.step_plans(pass.training) : nullptr;
    // weight: of this solver's penalties among those of an ensemble.
    const auto solved = [&](const Solver& solver, double weight) {
      const Solved found = solve_by(problem, solver, wish, plans, settings);
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

}  // namespace slope::ode
