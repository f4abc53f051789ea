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

}  // namespace

const char* name(BatchSteps steps) { return steps == BatchSteps::shared ? "shared" : "per-sample"; }

BatchSteps parse_batch_steps(const std::string& word) {
  for (BatchSteps steps : {BatchSteps::shared, BatchSteps::per_sample}) {
    if (word == name(steps)) return steps;
  }
  throw ValueError(
      concat("stepping: there is no stepping \"", word, "\". Write shared or per-sample."));
}

Tensor solve_block(const FieldModule& module, const Tensor& x, nn::Pass& pass,
                   const BlockSettings& settings) {
  return module.traced([&] {
    const Field field = module.field(x.shape(), pass);
    StepPlans* plans = settings.plans ? &module.step_plans(pass.training) : nullptr;
    const std::vector<double> times = {0, 1};
    const auto solved = [&](const Solver& solver) {
      const bool adaptive = std::holds_alternative<Adaptive>(solver.stepping);
      if (settings.steps == BatchSteps::per_sample && adaptive) {
        const PerSampleSolution own = solve_per_sample_differentiable(
            field, x, {times}, solver, settings.gradient, plans, settings.gradient_options);
        if (settings.solves) settings.solves->push_back(own.total);
        collect(own.warnings, settings);
        return own.or_throw().ys.back();
      }
      const Solution solution = solve_differentiable(field, x, times, solver, settings.gradient,
                                                     plans, settings.gradient_options);
      if (settings.solves) settings.solves->push_back(solution.statistics);
      collect(solution.warnings, settings);
      return solution.or_throw().ys.back();
    };
    if (!settings.meta) return solved(settings.solver);
    const std::vector<MetaSolver::Member> members = settings.meta->next_block();
    if (members.size() == 1) return solved(members[0].solver);
    Tensor sum;
    for (const auto& [solver, weight] : members) {
      const Tensor part = solved(solver) * weight;
      sum = sum.defined() ? sum + part : part;
    }
    return sum;
  });
}

}  // namespace slope::ode
