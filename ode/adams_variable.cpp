// Adams methods of variable order.
#include <algorithm>
#include <cmath>

#include "core/ops/movement.h"
#include "ode/adams.h"
#include "ode/adams_weights.h"

namespace slope::ode {
namespace {

constexpr size_t kMost = kMostVariableOrder;

// The state is y, f_(n-1), f_(n-2), .., as many as the highest order can use.
class VariableAdams final : public Scheme {
 public:
  VariableAdams()
      : Scheme({.name = "adams",
                .order = 3,
                .embedded_order = 2,
                .stages = 2,
                .dense_order = 3,
                .adaptive = true,
                .implicit = true,
                .multistep = true}) {}

  bool begins_with_slope() const override { return true; }
  int first_order() const override { return kLeastVariableOrder; }

  Clock clock(std::span<const double> before, double t1) const override {
    return clock_at_order(before, t1, 0);
  }

  // At order k: h, t, t1 and then the weights of the predictor (k - 1), the corrector (k), its
  // error estimate (k), and those at order k - 1 (k - 1) and k + 1 (k + 1), which are zero where
  // there are too few slopes.
  Clock clock_at_order(std::span<const double> before, double t1, int order) const override {
    const size_t steps = before.size() - 1;
    const size_t k = order > 0 ? static_cast<size_t>(order) : std::min<size_t>(steps + 2, 4);
    const bool higher = has_higher(k, steps);
    std::vector<double> times;
    for (size_t j = 1; j < k + (higher ? 1 : 0); ++j) times.push_back(before[before.size() - j]);
    times.push_back(t1);
    return adams_clock(times, [=](auto number, size_t by) {
      return values<decltype(number)>(times, by, k, higher);
    });
  }

  Stepped step(const StepInput& in) const override {
    const auto k = static_cast<size_t>((in.clock.dim(0) - 2) / 5);
    const Tensor& y = in.state[0];
    const auto number = [&](int64_t i) { return squeeze(slice(in.clock, 0, i, i + 1), 0); };
    const Tensor h = number(0), f = in.slope.defined() ? in.slope : in.field(number(1), y);
    Tensors slopes = {f};
    slopes.insert(slopes.end(), in.state.begin() + 1, in.state.end());
    constexpr bool kAll[kMost + 1] = {true, true, true, true, true, true, true, true, true};
    int64_t next = 3;
    const auto combine = [&](const Tensor& from, size_t count) {
      const int64_t begin = next;
      next += static_cast<int64_t>(count);
      return rk_combine(from, h, std::span(slopes).first(count), slice(in.clock, 0, begin, next),
                        std::span<const bool>(kAll, count));
    };
    const Tensor predicted = combine(y, k - 1);
    slopes.insert(slopes.begin(), in.field(number(2), predicted));
    Stepped made{.fresh = {combine(y, k), f}};
    if (!in.with_error) return made;
    made.error = combine({}, k);
    made.other_errors.resize(2);
    if (k > kLeastVariableOrder) made.other_errors[0] = combine({}, k - 1);
    next = 3 + static_cast<int64_t>(4 * k - 2);
    if (has_higher(k, in.state.size() - 1)) made.other_errors[1] = combine({}, k + 1);
    return made;
  }

  Tensors next(const Tensors& state, const Tensors& fresh) const override {
    Tensors all = fresh;
    all.insert(all.end(), state.begin() + 1, state.end());
    if (all.size() > kMost - 1) all.resize(kMost - 1);
    return all;
  }

  OrderChoice choose(int order, std::span<const double> errors) const override {
    const auto factor = [&](size_t i, int k) {
      return errors[i] == 0             ? 10.
             : std::isfinite(errors[i]) ? 0.9 * std::pow(errors[i], -1. / k)
                                        : 0.;
    };
    OrderChoice best{.order = order, .factor = factor(0, order)};
    if (const double lower = factor(1, order - 1); lower > best.factor) {
      best = {.order = order - 1, .factor = lower};
    }
    if (!(errors[0] <= 1))
      return {.order = best.order, .factor = std::clamp(best.factor, 0.2, 0.9)};
    // A higher order must be worth it: its estimate is the least certain one.
    if (const double higher = factor(2, order + 1); higher > 1.1 * best.factor) {
      best = {.order = order + 1, .factor = higher};
    }
    return {.order = best.order, .factor = std::clamp(best.factor, 1., 2.)};
  }

  int64_t step_evaluations(size_t, bool slope_known, bool) const override {
    return slope_known ? 1 : 2;
  }

 private:
  // Whether the error at order k + 1 can be known, with so many slopes of earlier steps.
  static bool has_higher(size_t k, size_t steps) { return k < kMost && steps + 1 >= k; }

  // The clock's values, with their derivatives by times[by]. times: t, earlier ones .., t1
  template <typename Number>
  static std::vector<Number> values(const std::vector<double>& times, size_t by, size_t k,
                                    bool higher) {
    const size_t count = times.size() - 1;
    const auto time = [&](size_t j) { return adams_time<Number>(times, j, by); };
    const Number t = time(0), t1 = time(count), h = t1 - t;
    std::vector<Number> nodes;
    for (size_t j = 0; j < count; ++j) nodes.push_back((time(j) - t) / h);
    // Of Adams-Moulton of an order from 1 on; for comparison, as many as of the next order.
    const auto moulton = [&](size_t order) {
      std::vector<Number> own = {Number{1}};
      own.insert(own.end(), nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(order - 1));
      return adams_weights(own);
    };
    std::vector<Number> all = {h, t, t1};
    const auto add = [&](const std::vector<Number>& weights) {
      all.insert(all.end(), weights.begin(), weights.end());
    };
    const auto add_error = [&](size_t order) {
      std::vector<Number> weights = moulton(order), lower = moulton(order - 1);
      for (size_t j = 0; j < lower.size(); ++j) weights[j] = weights[j] - lower[j];
      add(weights);
    };
    add(adams_weights(
        std::vector<Number>(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(k - 1))));
    add(moulton(k));
    add_error(k);
    if (k > kLeastVariableOrder) {
      add_error(k - 1);
    } else {
      all.resize(all.size() + k - 1);
    }
    if (higher) {
      add_error(k + 1);
    } else {
      all.resize(all.size() + k + 1);
    }
    return all;
  }
};

}  // namespace

Method variable_adams() { return Method(std::make_shared<VariableAdams>()); }

}  // namespace slope::ode
