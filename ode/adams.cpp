#include "ode/adams.h"

#include "core/error.h"
#include "core/ops/movement.h"
#include "ode/adams_weights.h"
#include "ode/explicit_scheme.h"
#include "ode/methods.h"

namespace slope::ode {
namespace {

// Takes the steps for which slopes are missing: of the order asked for, with error estimate.
Tableau starter(int order) {
  constexpr const char* kStarters[] = {"euler", "heun2", "bosh3", "dopri5", "dopri5", "verner6"};
  return tableau(kStarters[order - 1]);
}

MethodFacts adams_facts(bool implicit, int order) {
  std::string name = implicit ? "implicit_adams" : "explicit_adams";
  if (order != kDefaultAdamsOrder) name += concat(",order=", order);
  return {.name = name,
          .order = order,
          .embedded_order = implicit ? order - 1 : 0,
          .stages = implicit ? 2 : 1,
          .dense_order = std::min(order, 3),
          .implicit = implicit,
          .multistep = true};
}

// The state is y, f_(n-1), .., f_(n-k+1), as far as there have been so many steps.
class Adams final : public Scheme {
 public:
  Adams(bool implicit, int order)
      : Scheme(adams_facts(implicit, order)),
        implicit_(implicit),
        order_(static_cast<size_t>(order)),
        starter_(starter(order)) {}

  bool begins_with_slope() const override { return true; }

  // h, t, t1 and then the weights of Adams-Bashforth, and where implicit those of Adams-Moulton and
  // of its error estimate: k each. In the first steps the clock of the Runge-Kutta method.
  Clock clock(std::span<const double> before, double t1) const override {
    if (before.size() < order_) return starter_.clock(before, t1);
    std::vector<double> times;
    for (size_t j = 1; j <= order_; ++j) times.push_back(before[before.size() - j]);
    times.push_back(t1);
    return adams_clock(times,
                       [times, order = order_, implicit = implicit_](auto number, size_t by) {
                         return values<decltype(number)>(times, by, order, implicit);
                       });
  }

  Stepped step(const StepInput& in) const override {
    const Tensor& y = in.state[0];
    if (in.state.size() < order_) return start_step(in);
    const auto number = [&](int64_t i) { return squeeze(slice(in.clock, 0, i, i + 1), 0); };
    const auto k = static_cast<int64_t>(order_);
    const auto weights = [&](int64_t set) {
      return slice(in.clock, 0, 3 + set * k, 3 + (set + 1) * k);
    };
    const bool all[kMaxAdamsOrder] = {true, true, true, true, true, true};
    const std::span<const bool> used(all, order_);

    const Tensor h = number(0), f = in.slope.defined() ? in.slope : in.field(number(1), y);
    Tensors slopes = {f};
    slopes.insert(slopes.end(), in.state.begin() + 1, in.state.end());
    Tensor y1 = rk_combine(y, h, slopes, weights(0), used);
    if (!implicit_) return {.fresh = {y1, f}};

    slopes.insert(slopes.begin(), in.field(number(2), y1));
    slopes.pop_back();
    y1 = rk_combine(y, h, slopes, weights(1), used);
    Tensor error;
    if (in.with_error) error = rk_combine({}, h, slopes, weights(2), used);
    return {.fresh = {y1, f}, .error = error};
  }

  Tensors next(const Tensors& state, const Tensors& fresh) const override {
    Tensors all = fresh;
    all.insert(all.end(), state.begin() + 1, state.end());
    if (all.size() > order_) all.resize(order_);
    return all;
  }

  int64_t step_evaluations(size_t state, bool slope_known, bool with_error) const override {
    if (state < order_) return starter_.step_evaluations(1, slope_known, with_error);
    return (implicit_ ? 2 : 1) - (slope_known ? 1 : 0);
  }

 private:
  // The clock's values, with their derivatives by times[by]. times: t, earlier ones.., t1
  template <typename Number>
  static std::vector<Number> values(const std::vector<double>& times, size_t by, size_t order,
                                    bool implicit) {
    const auto time = [&](size_t j) { return adams_time<Number>(times, j, by); };
    const Number t = time(0), t1 = time(order), h = t1 - t;
    std::vector<Number> all = {h, t, t1}, explicit_nodes, implicit_nodes = {Number{1}};
    for (size_t j = 0; j < order; ++j) {
      explicit_nodes.push_back((time(j) - t) / h);
      if (j + 1 < order) implicit_nodes.push_back(explicit_nodes.back());
    }
    for (const Number& w : adams_weights(explicit_nodes)) all.push_back(w);
    if (!implicit) return all;
    const std::vector<Number> corrector = adams_weights(implicit_nodes);
    implicit_nodes.pop_back();
    std::vector<Number> lower = adams_weights(implicit_nodes);
    lower.push_back(Number{0});
    for (const Number& w : corrector) all.push_back(w);
    for (size_t j = 0; j < order; ++j) all.push_back(corrector[j] - lower[j]);
    return all;
  }

  // A step of the Runge-Kutta method, which keeps its first slope.
  Stepped start_step(const StepInput& in) const {
    StepInput again = in;
    if (!again.slope.defined()) {
      again.slope = in.field(squeeze(slice(in.clock, 0, 1, 2), 0), in.state[0]);
    }
    Stepped made = starter_.step(again);
    made.fresh.push_back(again.slope);
    made.slope = {};
    return made;
  }

  bool implicit_;
  size_t order_;
  ExplicitScheme starter_;
};

Method adams(bool implicit, int order, int least) {
  if (order < least || order > kMaxAdamsOrder) {
    throw ValueError(concat("solver ", implicit ? "implicit_adams" : "explicit_adams",
                            ": order must be from ", least, " to ", kMaxAdamsOrder, ", got ", order,
                            "."));
  }
  return Method(std::make_shared<Adams>(implicit, order));
}

}  // namespace

Method explicit_adams(int order) { return adams(false, order, 1); }
Method implicit_adams(int order) { return adams(true, order, 2); }

}  // namespace slope::ode
