// Gradients of the times of a solve: those of the accepted steps at fixed fractions of the
// intervals between output times T_0, T_1, ..
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"
#include "ode/tableau.h"

namespace slope::ode {

// A step between T_j and T_(j+1), as its clock (step.h) would follow from them.
struct ClockWeights {
  size_t interval = 0;  // j
  Tensor from, to;      // (1 + s) each: clock = from * T_j + to * T_(j+1)
};
ClockWeights clock_weights(const Tableau& m, const std::vector<double>& times, double t, double t1,
                           Dtype dtype, Device device);

// Clocks with the values of the plain solve, on the tapes that listen to `times`: (T), whose values
// are `values`. dtype: of the states.
std::function<Tensor(double t, double t1)> watched_clock(const Tableau& m, const Tensor& times,
                                                         const std::vector<double>& values,
                                                         Dtype dtype);

// Adds the gradients of clocks up to those of the times.
class TimeGradients {
 public:
  TimeGradients(const Tableau& m, const std::vector<double>& times);
  // g: the gradient of the clock of the step from t to t1, (1 + s)
  void add(double t, double t1, const Tensor& g);
  // (T), like times; y: a state
  Tensor result(const Tensor& times, const Tensor& y) const;

 private:
  void accumulate(size_t i, const Tensor& d);

  const Tableau& method_;
  const std::vector<double>& times_;
  Tensors sums_;
};

}  // namespace slope::ode
