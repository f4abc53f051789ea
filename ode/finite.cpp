#include "ode/finite.h"

#include <cmath>
#include <memory>

#include "core/dispatch.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/jumps.h"
#include "ode/number_text.h"
#include "ode/solution.h"

namespace slope::ode {
namespace {

// What a watched field has returned so far.
struct Sighting {
  int evaluations = 0;
  std::string bad = {};  // the first value that is not finite, and where
};

// f, with a look at each value it returns.
FieldFunction watched(const FieldFunction& f, const std::shared_ptr<Sighting>& seen) {
  return [f, seen](const Tensor& t, const Tensor& y, const Tensors& context) {
    const Tensor k = f(t, y, context);
    ++seen->evaluations;
    if (seen->bad.empty() && !all_finite(k)) {
      bool nan = false;
      for (double value : k.values()) nan = nan || std::isnan(value);
      seen->bad = concat("the field returned ", nan ? "NaN" : "an infinite value",
                         " at t = ", rounded_text(t.values()[0]), ", stage ", seen->evaluations);
    }
    return k;
  };
}

Field watched(const Field& field, const std::shared_ptr<Sighting>& seen) {
  Field f = without_side_effects(field);
  f.evaluate = watched(f.evaluate, seen);
  if (f.halves) {
    f.halves->position_slope = watched(f.halves->position_slope, seen);
    f.halves->momentum_slope = watched(f.halves->momentum_slope, seen);
  }
  return f;
}

Tensor upload(const std::vector<double>& values, const Tensor& y) {
  return tensor(values, {static_cast<int64_t>(values.size())}, y.dtype(), y.device());
}

Stepped step_again(const Method& m, const Field& field, const Tensors& parameters,
                   std::span<const double> before, double t1, int order, const Tensors& state,
                   bool with_error) {
  Statistics not_counted;
  const Clock clock = sided_clock(m, field, before, t1, order, state[0].dtype());
  return m->step({.field = field,
                  .clock = upload(clock.values, state[0]),
                  .state = state,
                  .parameters = parameters,
                  .with_error = with_error,
                  .statistics = &not_counted});
}

}  // namespace

bool all_finite(const Tensor& x) {
  const MuteTapes quiet;
  return x.size() == 0 || min(is_finite(x)).item() == 1;
}

std::string blame(const Method& m, const Field& field, const Tensors& parameters,
                  std::span<const double> before, double t1, const Tensors& state) {
  const MuteTapes quiet;
  const double t = before.back();
  if (!all_finite(state[0])) {
    return concat("the state at t = ", rounded_text(t), " is not finite");
  }
  const auto seen = std::make_shared<Sighting>();
  step_again(m, watched(field, seen), parameters, before, t1, m->first_order(), state,
             m.facts().has_error());
  const std::string where =
      concat(" of the step from t = ", rounded_text(t), " with h = ", rounded_text(t1 - t));
  if (!seen->bad.empty()) return seen->bad + where;
  return concat("the state overflows at the end", where);
}

GoodPart good_part(const Method& m, const Field& field, const Tensors& parameters,
                   const std::vector<double>& ends, size_t first, const std::vector<int>& orders,
                   const Tensors& start) {
  const MuteTapes quiet;
  const Field again = without_side_effects(field);
  GoodPart good{.steps = 0, .state = start, .reason = ""};
  while (first + good.steps < ends.size()) {
    const auto before = std::span(ends).first(first + good.steps);
    const double t1 = ends[first + good.steps];
    const int order = orders.empty() ? 0 : orders[good.steps];
    const Stepped made = step_again(m, again, parameters, before, t1, order, good.state, false);
    if (!made.failure.empty() || !all_finite(made.fresh[0])) {
      good.reason = blame(m, field, parameters, before, t1, good.state);
      break;
    }
    good.state = m->next(good.state, made.fresh);
    ++good.steps;
  }
  return good;
}

}  // namespace slope::ode
