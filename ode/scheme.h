// Scheme: a numerical method as the solve sees it, from the state at t to the state at t1.
//
// The state is a list of tensors. Its first is y; the others are what a method carries along:
// nothing for a Runge-Kutta method, slopes of earlier steps for Adams, a velocity for ALF. All that
// a step needs to know of the times is computed on the host in float64 and uploaded as one small
// tensor, its clock.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ops/solver.h"
#include "ode/field.h"
#include "ode/solution.h"
#include "ode/tableau.h"

namespace slope::ode {

struct MethodFacts {
  std::string name = {};  // as in a solver word, parameters included: "dopri5", "rk2,u=0.3"
  int order = 0;
  int embedded_order = 0;   // of the result that the error estimate compares with; 0: no estimate
  int stages = 1;           // evaluations of the field in a step that knows nothing yet
  int dense_order = 0;      // of the interpolant inside a step
  bool fsal = false;        // a step ends with f(t1, y1), where the next one begins
  bool adaptive = false;    // meant to choose its own step sizes
  bool implicit = false;    // its formula contains f(t1, y1)
  bool multistep = false;   // it uses the slopes of earlier steps
  bool separable = false;   // for fields of two halves only (Field::halves)
  bool reversible = false;  // a step can be undone: Scheme::reverse

  bool has_error() const { return embedded_order > 0; }
  // The error estimate falls like h^p with this p: one more than the weaker result's order.
  int error_order() const { return std::min(order, embedded_order) + 1; }
};

// What a step knows of time, computed on the host.
struct Clock {
  std::vector<double> values;
  // The times that the values follow from, and d values[i] / d times[k] at slopes[k][i].
  std::vector<double> times;
  std::vector<std::vector<double>> slopes;
  // The same where they cost much to compute; then `slopes` is empty.
  std::function<std::vector<std::vector<double>>()> slopes_on_demand = {};

  std::vector<std::vector<double>> all_slopes() const {
    return slopes_on_demand ? slopes_on_demand() : slopes;
  }
};

struct StepInput {
  const Field& field;
  Tensor clock;                                    // Clock::values, in the dtype of y
  Tensors state;                                   // at t; [0] is y: any shape
  Tensor slope = {};                               // f(t, y) where it is known already, like y
  Tensors parameters = {};                         // Scheme::parameters
  bool with_error = false;                         // compute Stepped::error and ::slope too
  std::optional<ErrorNormOptions> tolerance = {};  // of an adaptive solve
  Statistics* statistics = nullptr;                // for a step that counts its own work
};

struct Stepped {
  Tensors fresh;              // what is new at t1: [0] is y1. See Scheme::next
  Tensor slope = {};          // f(t1, y1), where the step has it
  Tensor error = {};          // the estimated error of y1, like y; where asked for
  Tensors other_errors = {};  // of a method of variable order: what it would be with one order less
                              // and one more; undefined where that cannot be known
  std::string failure = {};   // why there is no result ("Newton's method did not converge, .."): a
                              // reason to try a smaller step
};

// What a method of variable order makes of the errors of a step.
struct OrderChoice {
  int order = 0;      // of the next step, or of the next try
  double factor = 1;  // for its size
};

// Where a step has led.
struct Reached {
  Tensors state;             // at t1
  std::string failure = {};  // see Stepped; then there is no state
};

class Scheme {
 public:
  virtual ~Scheme() = default;

  const MethodFacts& facts() const { return facts_; }
  // Of a Runge-Kutta method; null for the others.
  virtual const Tableau* tableau() const { return nullptr; }
  // Everything that a captured step depends on.
  virtual std::string key() const { return facts_.name; }
  // Whether a step may be captured in a plan: it reads no value, and branches on none.
  virtual bool replayable() const { return true; }
  // Throws ValueError where the method cannot be used on this field or state.
  virtual void check(const Field&, const Tensor& /*y0*/) const {}
  // Tensors that the steps depend on beside the field's context, made by ops once for each solve:
  // the coefficients of a trainable method.
  virtual Tensors parameters(Dtype, Device) const { return {}; }

  // The state at t0. time: t0 (), undefined where start_evaluations() says that it is not needed;
  // y0: any shape; slope: f(t0, y0) where it is known already.
  virtual Tensors start(const Field&, const Tensor& /*time*/, const Tensor& y0,
                        const Tensor& /*slope*/) const {
    return {y0};
  }
  // Whether a step begins with f(t, y), and so has a use for StepInput::slope.
  virtual bool begins_with_slope() const = 0;

  // before: the ends of all steps so far, t0 first and the beginning of this step last.
  virtual Clock clock(std::span<const double> before, double t1) const = 0;
  // A method of variable order has one for each step, which the clock tells the step. order: as
  // chosen, or 0 where nobody has.
  virtual Clock clock_at_order(std::span<const double> before, double t1, int /*order*/) const {
    return clock(before, t1);
  }
  // The order of the first step; 0 for methods of fixed order, for which choose() is not asked.
  virtual int first_order() const { return 0; }
  // errors: scaled, of the step, with one order less and one more; infinite where unknown.
  virtual OrderChoice choose(int order, std::span<const double> /*errors*/) const {
    return {.order = order};
  }
  // One step. Differentiable in clock, state, context and parameters.
  virtual Stepped step(const StepInput& in) const = 0;
  // The state at t1, from that at t and what is new.
  virtual Tensors next(const Tensors& /*state*/, const Tensors& fresh) const { return fresh; }
  // The state at t from the one at t1: only for a reversible method. in.state: at t1.
  virtual Tensors reverse(const StepInput& in) const;

  // Evaluations of the field in start() and in step(), slopes that are known not counted. (A step
  // that is not replayable counts its own, in StepInput::statistics.) state: so many tensors.
  virtual int64_t start_evaluations(bool /*slope_known*/) const { return 0; }
  virtual int64_t step_evaluations(size_t state, bool slope_known, bool with_error) const = 0;

 protected:
  explicit Scheme(MethodFacts facts) : facts_(std::move(facts)) {}

 private:
  MethodFacts facts_;
};

// A handle on a scheme, cheap to copy.
class Method {
 public:
  Method() = default;
  Method(Tableau tableau);  // NOLINT: a tableau is a method
  Method(std::shared_ptr<const Scheme> scheme) : scheme_(std::move(scheme)) {}  // NOLINT

  const Scheme& operator*() const { return *scheme_; }
  const Scheme* operator->() const { return scheme_.get(); }
  bool defined() const { return scheme_ != nullptr; }
  const MethodFacts& facts() const { return scheme_->facts(); }
  const std::string& name() const { return scheme_->facts().name; }

 private:
  std::shared_ptr<const Scheme> scheme_;
};

}  // namespace slope::ode
