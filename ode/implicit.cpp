#include "ode/implicit.h"

#include <algorithm>
#include <cmath>

#include "core/dispatch.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/solver.h"

namespace slope::ode {
namespace {

double epsilon(Dtype dtype) { return dtype == Dtype::f64 ? 2.3e-16 : 1.2e-7; }

// How much a change of a slope counts, before it is multiplied by h: 1 / (atol + rtol |y|), as in
// the error norm; for fixed steps 1 / (|y| + rms(y)), with the mean over each sample.
Tensor slope_weights(const Tensor& y, const ImplicitOptions& options) {
  const Tensor size = abs(y);
  if (options.rtol > 0 || options.atol > 0) return 1.0 / (options.rtol * size + options.atol);
  Axes within;
  for (int axis = y.rank() > 1 ? 1 : 0; axis < y.rank(); ++axis) within.push_back(axis);
  // In units of the largest value, as its square may be beyond the numbers that the dtype has. What
  // is hardly more than zero counts as zero: so that the weights are numbers too.
  const Tensor largest = max(size, within, true);
  const Tensor counts = largest > (y.dtype() == Dtype::f64 ? 1e-300 : 1e-36);
  const Tensor unit = select(counts, largest, ones_like(largest));
  const Tensor rms = unit * sqrt(mean(square(y / unit), within, true));
  return 1.0 / (size + select(counts, rms, ones_like(rms)));
}

// The stages of one step.
class Stages {
 public:
  Stages(const Tableau& m, const Field& f, const StepTimes& at, const Tensor& y,
         const ImplicitOptions& options, const std::shared_ptr<NewtonReport>& report)
      : m_(m), f_(f), at_(at), y_(y), report_(report) {
    const MuteTapes quiet;
    const double eps = epsilon(y.dtype());
    const bool adaptive = options.rtol > 0 || options.atol > 0;
    newton_.weights = slope_weights(y, options);
    // A hundredth of the tolerance leaves the error estimate its first two digits.
    const double least =
        adaptive ? std::max(1e-2, 16 * eps / std::max(options.rtol, eps)) : 4 * eps;
    newton_.tolerances = at.h.values();
    for (double& h : newton_.tolerances) h = least / std::abs(h);  // of h k, so of k
    newton_.rounding = HUGE_VAL;
    for (double t : newton_.tolerances) newton_.rounding = std::min(newton_.rounding, 1024 * t);
  }

  // The slopes, one after the other.
  Tensors one_by_one(const Tensor& k_first) {
    Tensors k;
    for (size_t i = 0; i < m_.b.size(); ++i) {
      const Tensor base = combined(k, i);
      if (!m_.explicit_stage(i)) {
        k.push_back(stage(i, base, k));
      } else if (i == 0 && k_first.defined()) {
        k.push_back(k_first);
      } else {
        k.push_back(f_(at_.t[i], base));
        ++report_->evaluations;
      }
    }
    return k;
  }

  // k_i = f(t_i, y + h sum_j a_ij k_j) for all i together.
  Tensors together() {
    Tensors parameters = {at_.h, y_};
    parameters.insert(parameters.end(), at_.t.begin(), at_.t.end());
    const auto first = static_cast<std::ptrdiff_t>(parameters.size());
    parameters.insert(parameters.end(), f_.context.begin(), f_.context.end());
    const auto g = [a = m_.a, first](const FieldFunction& f) {
      return [a, f, first](const Tensors& k, const Tensors& p) {
        const Field field{.context = {p.begin() + first, p.end()}, .evaluate = f};
        Tensors slopes;
        for (size_t i = 0; i < k.size(); ++i) {
          slopes.push_back(field(p[2 + i], rk_combine(p[1], p[0], k, a[i])));
        }
        return slopes;
      };
    };
    newton_.cost = static_cast<int64_t>(m_.b.size());
    newton_.again = g(without_side_effects(f_).evaluate);
    return fixed_point("implicit stages", g(f_.evaluate), Tensors(m_.b.size(), zeros_like(y_)),
                       parameters, newton_, report_);
  }

 private:
  // k_i = f(t_i, base + h a_ii k_i)
  Tensor stage(size_t i, const Tensor& base, const Tensors& before) {
    Tensors parameters = {at_.h, base, at_.t[i]};
    parameters.insert(parameters.end(), f_.context.begin(), f_.context.end());
    const auto g = [a = m_.a[i][i]](const FieldFunction& f) {
      return [a, f](const Tensors& k, const Tensors& p) {
        const Field field{.context = {p.begin() + 3, p.end()}, .evaluate = f};
        return Tensors{field(p[2], rk_combine(p[1], p[0], k, std::vector<double>{a}))};
      };
    };
    // The slope of the stage before is a good guess, but after a sudden change it may lead far off:
    // then zero, as if the state stood still.
    newton_.second_guess = before.empty() ? Tensors() : Tensors{zeros_like(y_)};
    newton_.again = g(without_side_effects(f_).evaluate);
    const Tensor guess = before.empty() ? zeros_like(y_) : before.back();
    return fixed_point("implicit stage", g(f_.evaluate), {guess}, parameters, newton_, report_)[0];
  }

  // y + h sum over j < i of a_ij k_j
  Tensor combined(const Tensors& k, size_t i) const {
    const std::vector<double> row(m_.a[i].begin(),
                                  m_.a[i].begin() + static_cast<std::ptrdiff_t>(i));
    const bool none = std::all_of(row.begin(), row.end(), [](double a) { return a == 0; });
    return none ? y_ : rk_combine(y_, at_.h, k, row);
  }

  const Tableau& m_;
  const Field& f_;
  const StepTimes& at_;
  const Tensor& y_;
  const std::shared_ptr<NewtonReport>& report_;
  NewtonOptions newton_{.where = "solve"};
};

}  // namespace

Step implicit_step(const Tableau& m, const Field& f, const StepTimes& at, const Tensor& y,
                   const Tensor& k_first, const ImplicitOptions& options,
                   const std::shared_ptr<NewtonReport>& report) {
  Stages stages(m, f, at, y, options, report);
  const Tensors k = m.coupled() ? stages.together() : stages.one_by_one(k_first);
  return {rk_combine(y, at.h, k, m.b), k};
}

}  // namespace slope::ode
