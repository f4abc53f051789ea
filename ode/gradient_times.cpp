#include "ode/gradient_times.h"

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "ode/step.h"

namespace slope::ode {

ClockWeights clock_weights(const Tableau& m, const std::vector<double>& times, double t, double t1,
                           Dtype dtype, Device device) {
  const double direction = times.back() < times.front() ? -1 : 1;
  ClockWeights w;
  while (w.interval + 2 < times.size() && (times[w.interval + 1] - t) * direction <= 0)
    ++w.interval;
  const double begin = times[w.interval], span = times[w.interval + 1] - begin;
  std::vector<double> to = {(t1 - t) / span};
  for (double c : m.c) to.push_back((t + c * (t1 - t) - begin) / span);
  std::vector<double> from = {-to[0]};
  for (size_t i = 1; i < to.size(); ++i) from.push_back(1 - to[i]);
  const Shape shape = {static_cast<int64_t>(to.size())};
  w.from = tensor(from, shape, dtype, device);
  w.to = tensor(to, shape, dtype, device);
  return w;
}

std::function<Tensor(double, double)> watched_clock(const Tableau& m, const Tensor& times,
                                                    const std::vector<double>& values,
                                                    Dtype dtype) {
  return [=](double t, double t1) {
    const ClockWeights w = clock_weights(m, values, t, t1, dtype, times.device());
    const auto j = static_cast<int64_t>(w.interval);
    const Tensor interval = slice(times, 0, j, j + 2);
    const auto forward = [&](const Tensors&) {
      return Tensors{step_clock(m, t, t1, dtype, times.device())};
    };
    return custom("step clock", {interval}, forward, [w](const CustomVjp& v) {
      const Tensor& g = v.cotangents[0];
      return Tensors{cast(stack({sum(g * w.from), sum(g * w.to)}), v.inputs[0].dtype())};
    })[0];
  };
}

TimeGradients::TimeGradients(const Tableau& m, const std::vector<double>& times)
    : method_(m), times_(times), sums_(times.size()) {}

void TimeGradients::add(double t, double t1, const Tensor& g) {
  const ClockWeights w = clock_weights(method_, times_, t, t1, g.dtype(), g.device());
  accumulate(w.interval, sum(g * w.from));
  accumulate(w.interval + 1, sum(g * w.to));
}

Tensor TimeGradients::result(const Tensor& times, const Tensor& y) const {
  Tensors all;
  for (const Tensor& s : sums_) all.push_back(s.defined() ? s : zeros({}, y.dtype(), y.device()));
  return cast(stack(all), times.dtype());
}

void TimeGradients::accumulate(size_t i, const Tensor& d) {
  sums_[i] = sums_[i].defined() ? sums_[i] + d : d;
}

}  // namespace slope::ode
