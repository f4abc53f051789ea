// Step size control: from the scaled error of a step to the size of the next one. Plain doubles.
#pragma once

namespace slope::ode {

// The next size is h times
//   safety * d_n^((P + I + D) / p) * d_(n-1)^(-(P + 2D) / p) * d_(n-2)^(D / p),   d = 1 / error,
// with p the method's order and n - 1, n - 2 the accepted steps before, kept within the limits.
// P = D = 0, I = 1 is the elementary controller, the default, and what torchdiffeq does.
struct ControllerOptions {
  double proportional = 0;
  double integral = 1;
  double derivative = 0;
  double safety = 0.9;
  double largest = 10;    // a step grows by this factor at most
  double smallest = 0.2;  // and shrinks to this part at most
  bool operator==(const ControllerOptions&) const = default;
};

// The PI controller of Hairer and Wanner's DOPRI5 (exponents 0.17 and 0.04 at p = 5). Beside I, on
// the problems of tests/ode with dopri5, bosh3 and tsit5: 15 to 35 % fewer rejected steps, and 4 to
// 7 % fewer evaluations at 1e-3, 1 to 2 % more at 1e-6.
constexpr ControllerOptions kPiController{.proportional = 0.2, .integral = 0.65};

// 1 / error of the last accepted steps: of the last one, and of the one before.
struct ControllerHistory {
  double last = 1;
  double before = 1;
};

class Controller {
 public:
  Controller(const ControllerOptions& options, int order) : options_(options), order_(order) {}

  // error: the scaled error of the step, e.g. error_norm. NaN is not accepted.
  static bool accept(double error) { return error <= 1; }

  // The factor for the step size after a step with this error. An accepted step (error <= 1) never
  // makes the next one smaller, unless its error is 1 exactly; a rejected one always does. Accepted
  // steps enter the history.
  double factor(double error);

  const ControllerHistory& history() const { return history_; }
  void set_history(const ControllerHistory& history) { history_ = history; }

 private:
  ControllerOptions options_;
  int order_;
  ControllerHistory history_;
};

}  // namespace slope::ode
