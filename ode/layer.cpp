#include "ode/layer.h"

namespace slope::ode {

Tensor solve_block(const FieldModule& module, const Tensor& x, nn::Pass& pass,
                   const BlockSettings& settings) {
  return module.traced([&] {
    const Field field = module.field(x.shape(), pass);
    StepPlans* plans = settings.plans ? &module.step_plans(pass.training) : nullptr;
    const Solution solution = solve_differentiable(field, x, std::vector<double>{0, 1},
                                                   settings.solver, settings.gradient, plans);
    if (settings.solves) settings.solves->push_back(solution.statistics);
    return solution.or_throw().ys.back();
  });
}

}  // namespace slope::ode
