#include "ode/gradient_times.h"

#include <map>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"

namespace slope::ode {
namespace {

Tensor upload(const std::vector<double>& values, Dtype dtype, Device device) {
  return tensor(values, {static_cast<int64_t>(values.size())}, dtype, device);
}

}  // namespace

std::vector<ClockWeight> clock_weights(const Clock& clock, const std::vector<double>& times) {
  const double direction = times.back() < times.front() ? -1 : 1;
  const std::vector<std::vector<double>> slopes_by_time = clock.all_slopes();
  std::map<size_t, std::vector<double>> sums;
  const auto add = [&](size_t j, double share, const std::vector<double>& slopes) {
    std::vector<double>& sum = sums[j];
    sum.resize(slopes.size());
    for (size_t i = 0; i < slopes.size(); ++i) sum[i] += share * slopes[i];
  };
  for (size_t k = 0; k < clock.times.size(); ++k) {
    // T_j <= t < T_(j+1), where t is a fixed fraction of the way; the last of equal times counts.
    const double t = clock.times[k];
    size_t j = 0;
    while (j + 2 < times.size() && (times[j + 1] - t) * direction <= 0) ++j;
    const double fraction = t == times[j] ? 0 : (t - times[j]) / (times[j + 1] - times[j]);
    if (fraction != 1) add(j, 1 - fraction, slopes_by_time[k]);
    if (fraction != 0) add(j + 1, fraction, slopes_by_time[k]);
  }
  std::vector<ClockWeight> all;
  for (auto& [j, weights] : sums) all.push_back({j, std::move(weights)});
  return all;
}

std::function<Tensor(const Clock&)> watched_clock(const Tensor& times,
                                                  const std::vector<double>& values, Dtype dtype) {
  return [=](const Clock& clock) {
    const auto forward = [&](const Tensors&) {
      return Tensors{upload(clock.values, dtype, times.device())};
    };
    const auto rule = [weights = clock_weights(clock, values),
                       count = values.size()](const CustomVjp& v) {
      const Tensor& g = v.cotangents[0];
      Tensors d(count, zeros({}, g.dtype(), g.device()));
      for (const ClockWeight& w : weights) {
        d[w.time] = sum(g * upload(w.weights, g.dtype(), g.device()));
      }
      return Tensors{cast(stack(d), v.inputs[0].dtype())};
    };
    return custom("clock", {times}, forward, rule)[0];
  };
}

TimeGradients::TimeGradients(const std::vector<double>& times)
    : times_(times), sums_(times.size()) {}

void TimeGradients::add(const Clock& clock, const Tensor& g) {
  for (const ClockWeight& w : clock_weights(clock, times_)) {
    const Tensor d = sum(g * upload(w.weights, g.dtype(), g.device()));
    sums_[w.time] = sums_[w.time].defined() ? sums_[w.time] + d : d;
  }
}

Tensor TimeGradients::result(const Tensor& times, const Tensor& y) const {
  Tensors all;
  for (const Tensor& s : sums_) all.push_back(s.defined() ? s : zeros({}, y.dtype(), y.device()));
  return cast(stack(all), times.dtype());
}

}  // namespace slope::ode
