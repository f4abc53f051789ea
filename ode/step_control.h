// StepControl: the step sizes of one adaptive solve, in plain doubles: what to try next, and what
// to make of its error. One for a whole batch, or one for each of its samples.
#pragma once

#include <string>
#include <vector>

#include "ode/solution.h"
#include "ode/solver.h"

namespace slope::ode {

class StepControl {
 public:
  // times: t0 first, rising or falling; jumps: Field::jumps. Steps end exactly at every one of
  // them and at how.step_times, as far as they lie between t0 and the last time.
  StepControl(const Adaptive& how, int order, const std::vector<double>& times,
              const std::vector<double>& jumps);

  double t() const { return t_; }
  double direction() const { return direction_; }  // 1 or -1
  bool done() const { return t_ == end_; }

  // The size to try next. 0: it has not been chosen; NaN: the slope is not finite.
  double step() const { return h_; }
  void set_step(double h) { h_ = h; }
  const ControllerHistory& history() const { return controller_.history(); }
  void set_history(const ControllerHistory& history) { controller_.set_history(history); }

  // Why there can be no further attempt; success: there can.
  Status obstacle();
  // What obstacle() found, in words. where: how the text begins; blamed: what is not finite;
  // advice: what to do where the steps ran out.
  std::string message(const std::string& where, const std::string& blamed,
                      const std::string& advice) const;
  // The mean size of the last steps, for that advice. grid: t0 and the end of each accepted step.
  double lately(const std::vector<double>& grid) const;

  // The end of the next attempt, which starts at t().
  double propose();
  // The size of the last attempt, 0 before the first.
  double tried() const { return tried_; }
  // After the attempt: true, and t() is its end, if its scaled error is small enough. factor: of
  // the next step size, from a method that chooses it with its order.
  bool judge(double error);
  bool judge(double error, double factor);
  double error() const { return error_; }
  // True after a step that ended at a jump of the field: its slope there is another one now.
  bool at_jump() const { return at_jump_; }

  int64_t accepted() const { return accepted_; }
  int64_t rejected() const { return rejected_; }

 private:
  // Whether no smaller step than the last one is allowed. (t + h) - t is h up to rounding only.
  bool smallest() const { return tried_ <= how_.min_step * (1 + 1e-9); }

  Adaptive how_;
  Controller controller_;
  std::vector<double> stops_;  // where steps end, in order; after t0
  std::vector<double> jumps_;
  size_t next_stop_ = 0;
  double t0_, t_, end_, direction_;
  double h_ = 0, tried_ = 0, error_ = 0, proposed_ = 0;
  bool cut_ = false, at_jump_ = false;
  int64_t accepted_ = 0, rejected_ = 0;
  Status obstacle_ = Status::success;
};

}  // namespace slope::ode
