#include "ode/step_control.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ode/number_text.h"

namespace slope::ode {

StepControl::StepControl(const Adaptive& how, int order, const std::vector<double>& times,
                         const std::vector<double>& jumps)
    : how_(how),
      controller_(how.controller, order),
      jumps_(jumps),
      t0_(times.front()),
      t_(times.front()),
      end_(times.back()),
      direction_(times.back() < times.front() ? -1 : 1),
      h_(how.first_step) {
  std::vector<double> all = times;
  all.insert(all.end(), how.step_times.begin(), how.step_times.end());
  all.insert(all.end(), jumps.begin(), jumps.end());
  stops_ = stops_between(t_, end_, std::move(all));
}

Status StepControl::obstacle() {
  // Below this, t + h has lost most digits of h.
  const double least =
      8 * std::numeric_limits<double>::epsilon() * std::max(std::abs(t_), std::abs(end_ - t0_));
  h_ = std::clamp(h_, how_.min_step, how_.max_step);
  const bool last_resort = tried_ > 0 && smallest();  // has failed, and would be tried again
  if (last_resort && !std::isfinite(error_)) {
    obstacle_ = Status::not_finite;
  } else if (!(h_ > least)) {
    obstacle_ = std::isfinite(error_) && std::isfinite(h_) ? Status::step_size_underflow
                                                           : Status::not_finite;
  } else if (accepted_ + rejected_ >= how_.max_steps) {
    obstacle_ = Status::step_limit;
  } else {
    obstacle_ = Status::success;
  }
  return obstacle_;
}

std::string StepControl::message(const std::string& where, const std::string& blamed,
                                 const std::string& advice) const {
  std::string what = blamed, then = concat("The last good state is at t = ", rounded_text(t_), ".");
  if (obstacle_ == Status::step_limit) {
    what = concat("the budget of ", how_.max_steps, " steps ended at t = ", rounded_text(t_));
    then = advice;
  } else if (obstacle_ == Status::step_size_underflow) {
    then = concat("The problem may be stiff. Raise rtol (now ", number_text(how_.rtol), ").");
    what = concat("step size fell to ", rounded_text(h_), " at t = ", rounded_text(t_), ", error ",
                  rounded_text(error_), " x tolerance");
  }
  return concat(where, what, " (from ", number_text(t0_), " to ", number_text(end_), "; ",
                accepted_, " accepted, ", rejected_, " rejected). ", then);
}

double StepControl::lately(const std::vector<double>& grid) const {
  const size_t last = std::min<size_t>(grid.size() - 1, 20);
  if (last == 0) return h_;
  return std::abs(t_ - grid[grid.size() - 1 - last]) / static_cast<double>(last);
}

double StepControl::propose() {
  // Outputs, jumps and the end are hit exactly: a step that would reach past one is cut short.
  const double stop = stops_[next_stop_];
  cut_ = h_ >= std::abs(stop - t_) * (1 - 1e-14);
  proposed_ = cut_ ? stop : t_ + direction_ * h_;
  tried_ = std::abs(proposed_ - t_);
  return proposed_;
}

bool StepControl::judge(double error) { return judge(error, controller_.factor(error)); }

bool StepControl::judge(double error, double factor) {
  error_ = error;
  const double next = tried_ * factor;
  const bool good = Controller::accept(error) || (smallest() && std::isfinite(error));
  if (!good) {
    ++rejected_;
    h_ = next;
    return false;
  }
  ++accepted_;
  t_ = proposed_;
  if (t_ == stops_[next_stop_]) ++next_stop_;
  h_ = cut_ ? std::max(h_, next) : next;  // a step cut short says little about those after it
  at_jump_ = std::find(jumps_.begin(), jumps_.end(), t_) != jumps_.end();
  if (at_jump_) controller_.set_history({});  // the errors before the jump say nothing about it
  return true;
}

}  // namespace slope::ode
