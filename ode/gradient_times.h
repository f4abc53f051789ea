// Gradients of the times of a solve: those of the accepted steps at fixed fractions of the
// intervals between output times T_0, T_1, ..
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"
#include "ode/scheme.h"

namespace slope::ode {

// How a clock would follow from one of the output times.
struct ClockWeight {
  size_t time = 0;              // j
  std::vector<double> weights;  // d clock[i] / d T_j
};
// For all output times that it follows from, the earliest first. times: T, all steps between them.
std::vector<ClockWeight> clock_weights(const Clock& clock, const std::vector<double>& times);

// Clocks with the values of the plain solve, on the tapes that listen to `times`: (T), whose values
// are `values`. dtype: of the states.
std::function<Tensor(const Clock& clock)> watched_clock(const Tensor& times,
                                                        const std::vector<double>& values,
                                                        Dtype dtype);

// Adds the gradients of clocks up to those of the times.
class TimeGradients {
 public:
  explicit TimeGradients(const std::vector<double>& times);
  // g: the gradient of the clock, (Clock::values)
  void add(const Clock& clock, const Tensor& g);
  // (T), like times; y: a state
  Tensor result(const Tensor& times, const Tensor& y) const;

 private:
  const std::vector<double>& times_;
  Tensors sums_;
};

}  // namespace slope::ode
