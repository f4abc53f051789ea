#include "nn/attack/boundary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace slope::nn {
namespace {

constexpr double kOvershoot = 1.05;   // FAB: how far beyond the plane
constexpr double kLargestPull = 0.1;  // FAB: the weight of the clean sample's projection
constexpr double kBackward = 0.9;     // FAB: how near a fooling sample is drawn
constexpr double kTiny = 1e-300;      // in place of zero as a divisor

// The boundary z_t = z_y as seen from x: value z_t - z_y there and its gradient.
struct Plane {
  std::vector<double> value;  // (N)
  std::vector<double> w;      // (N, size)
  std::vector<bool> fooled;   // at x
};

double length(std::span<const double> d, AttackNorm norm) {
  double sum = 0;
  for (const double v : d)
    sum = norm == AttackNorm::linf ? std::max(sum, std::abs(v)) : sum + v * v;
  return norm == AttackNorm::linf ? sum : std::sqrt(sum);
}

Plane towards(Target& target, const AttackSamples& s, const Tensor& x,
              const std::vector<int32_t>& classes) {
  const auto e = target.evaluate(x, s, AttackLoss::targeted_margin, classes);
  return {e.loss, e.gradient.values(), e.fooled};
}

// The nearest plane among those of all classes, by |value| over the length of w: its sum of
// absolute values for L-infinity, Euclid's for L2.
Plane nearest(Target& target, const AttackSamples& s, const Tensor& x, AttackNorm norm) {
  const std::vector<int32_t> labels = s.labels.to_vector<int32_t>();
  const size_t n = labels.size();
  const size_t classes = target.forward(x, s).logits.at(0).size();
  Plane best;
  std::vector<double> distance(n, std::numeric_limits<double>::infinity());
  for (size_t k = 1; k < classes; ++k) {
    std::vector<int32_t> other;
    for (const int32_t y : labels)
      other.push_back(static_cast<int32_t>((static_cast<size_t>(y) + k) % classes));
    Plane p = towards(target, s, x, other);
    const size_t width = p.w.size() / n;
    if (k == 1) best = p;
    for (size_t i = 0; i < n; ++i) {
      double length = 0;
      for (size_t j = i * width; j < (i + 1) * width; ++j)
        length += norm == AttackNorm::linf ? std::abs(p.w[j]) : p.w[j] * p.w[j];
      if (norm == AttackNorm::l2) length = std::sqrt(length);
      const double d = std::abs(p.value[i]) / std::max(length, 1e-30);
      if (!(d < distance[i])) continue;
      distance[i] = d;
      best.value[i] = p.value[i];
      std::copy_n(p.w.begin() + static_cast<ptrdiff_t>(i * width), width,
                  best.w.begin() + static_cast<ptrdiff_t>(i * width));
    }
  }
  return best;
}

// The classes of rank `rank` (0: likeliest) after the true one on the clean samples.
std::vector<int32_t> ranked(const Target::Evaluation& clean, const std::vector<int32_t>& labels,
                            size_t rank) {
  std::vector<int32_t> aim;
  for (size_t i = 0; i < labels.size(); ++i) {
    std::vector<int32_t> order;
    for (int32_t c = 0; c < static_cast<int32_t>(clean.logits[i].size()); ++c)
      if (c != labels[i]) order.push_back(c);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return clean.logits[i][static_cast<size_t>(a)] > clean.logits[i][static_cast<size_t>(b)];
    });
    aim.push_back(order[rank]);
  }
  return aim;
}

}  // namespace

std::vector<double> step_to_plane(const double* x, const double* w, double value, int64_t size,
                                  const Range& range, AttackNorm norm) {
  // Every value moves towards the plane by t (L2: by t |w_i|), or as far as its room goes. What
  // that adds up to, sum |w_i| min(t, room_i) or sum |w_i| min(t |w_i|, room_i), has to reach
  // |value|. It grows with t piecewise linearly and ever more slowly, so that Newton's method from
  // t = 0 never goes too far, and ends: every step but the last uses up the room of some value.
  const bool flat = norm == AttackNorm::linf;
  const size_t n = static_cast<size_t>(size);
  const double towards = value > 0 ? -1 : 1, needed = std::abs(value);
  // The t at which the room is used up; growth of the sum before that.
  std::vector<double> limit(n), growth(n), step(n);
  for (size_t i = 0; i < n; ++i) {
    const double a = std::abs(w[i]);
    const double room = std::max(towards * w[i] > 0 ? range.high - x[i] : x[i] - range.low, 0.0);
    limit[i] = flat ? room : room / std::max(a, kTiny);
    growth[i] = flat ? a : a * a;
  }
  double t = 0;
  while (true) {
    double used = 0, slope = 0;
    for (size_t i = 0; i < n; ++i) {
      if (t < limit[i]) {
        slope += growth[i];
      } else {
        used += growth[i] * limit[i];
      }
    }
    const double next = (needed - used) / slope;
    if (!(slope > 0 && next > t)) break;
    t = next;
  }
  for (size_t i = 0; i < n; ++i) {
    const double pace = flat ? (w[i] == 0 ? 0 : 1) : std::abs(w[i]);
    step[i] = std::copysign(pace * std::min(t, limit[i]), towards * w[i]);
  }
  return step;
}

Tensor fab(Target& target, const AttackSamples& samples, const FabOptions& o) {
  const Ball ball{.eps = o.eps, .norm = o.norm, .range = o.range};
  ball.check("fab-t");
  if (o.iterations < 1)
    throw ValueError(concat("fab-t: iterations must be at least 1, got ", o.iterations, "."));
  if (o.targets < 0)
    throw ValueError(concat("fab-t: targets must not be negative, got ", o.targets, "."));
  if (o.restarts < 1)
    throw ValueError(concat("fab-t: restarts must be at least 1, got ", o.restarts, "."));
  if (samples.size() == 0) return samples.x;
  const Target::Evaluation clean = target.forward(samples.x, samples);
  const std::vector<int32_t> labels = samples.labels.to_vector<int32_t>();
  const int64_t size = samples.x.size() / samples.size();
  const size_t width = static_cast<size_t>(size);
  std::vector<double> result = samples.x.values();
  std::vector<double> distance(labels.size(), std::numeric_limits<double>::infinity());
  const auto near = [&](size_t i) { return distance[i] <= o.eps; };

  const int64_t others = static_cast<int64_t>(clean.logits[0].size()) - 1;
  const int64_t targets = o.targets == 0 ? 1 : std::min(o.targets, others);
  for (int64_t run = 0; run < targets * o.restarts; ++run) {
    const int64_t rank = run / o.restarts, restart = run % o.restarts;
    std::vector<int64_t> places;  // one that is within eps need not be nearer
    for (size_t i = 0; i < labels.size(); ++i)
      if (!near(i) && !clean.fooled[i]) places.push_back(static_cast<int64_t>(i));
    if (places.empty()) break;
    AttackSamples now = samples.take(places);
    std::vector<int32_t> aim;
    if (o.targets > 0) aim = take(ranked(clean, labels, static_cast<size_t>(rank)), places);
    const std::vector<double> origin = now.x.values();
    std::vector<double> x = origin;
    if (restart > 0) {
      const Ball half{.eps = o.eps / 2, .norm = o.norm, .range = o.range};
      const uint32_t draws = stream(AttackStream::fab, rank * 100 + restart);
      x = half.random_surface(now, o.seed, draws).values();
    }
    const auto upload = [&] { return tensor(x, now.x.shape(), now.x.dtype(), now.x.device()); };
    for (int64_t k = 0; k < o.iterations; ++k) {
      const Plane plane = o.targets > 0 ? towards(target, now, upload(), aim)
                                        : nearest(target, now, upload(), o.norm);
      for (size_t i = 0; i < places.size(); ++i) {
        double* xi = x.data() + i * width;
        const double *x0 = origin.data() + i * width, *w = plane.w.data() + i * width;
        if (!std::isfinite(plane.value[i])) continue;
        double value_at_origin = plane.value[i];
        for (size_t j = 0; j < width; ++j) value_at_origin += w[j] * (x0[j] - xi[j]);
        const std::vector<double> d1 = step_to_plane(xi, w, plane.value[i], size, o.range, o.norm);
        const std::vector<double> d2 = step_to_plane(x0, w, value_at_origin, size, o.range, o.norm);
        const double a1 = length(d1, o.norm), a2 = length(d2, o.norm);
        const double pull = a1 + a2 > 0 ? std::min(a1 / (a1 + a2), kLargestPull) : 0;
        for (size_t j = 0; j < width; ++j) {
          const double next =
              (xi[j] + kOvershoot * d1[j]) * (1 - pull) + (x0[j] + kOvershoot * d2[j]) * pull;
          xi[j] = std::clamp(next, o.range.low, o.range.high);
        }
      }
      const Tensor at = upload();
      const std::vector<bool> fooled = target.forward(at, now).fooled;
      const std::vector<double> held = at.values();  // what the model saw, in its dtype
      for (size_t i = 0; i < places.size(); ++i) {
        if (!fooled[i]) continue;
        const size_t place = static_cast<size_t>(places[i]);
        std::vector<double> change(width);
        for (size_t j = 0; j < width; ++j) change[j] = held[i * width + j] - origin[i * width + j];
        const double d = length(change, o.norm);
        if (d < distance[place]) {
          distance[place] = d;
          std::copy_n(held.begin() + static_cast<ptrdiff_t>(i * width), width,
                      result.begin() + static_cast<ptrdiff_t>(place * width));
        }
        for (size_t j = i * width; j < (i + 1) * width; ++j)
          x[j] = origin[j] + kBackward * (x[j] - origin[j]);
      }
    }
  }
  // What lies beyond eps does not count.
  const std::vector<double> origin = samples.x.values();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!near(i))
      std::copy_n(origin.begin() + static_cast<ptrdiff_t>(i * width), width,
                  result.begin() + static_cast<ptrdiff_t>(i * width));
  }
  return tensor(result, samples.x.shape(), samples.x.dtype(), samples.x.device());
}

Tensor deepfool(Target& target, const AttackSamples& samples, const DeepFoolOptions& o) {
  if (o.iterations < 1)
    throw ValueError(concat("deepfool: iterations must be at least 1, got ", o.iterations, "."));
  if (!(o.overshoot >= 0) || std::isinf(o.overshoot))
    throw ValueError(concat("deepfool: overshoot must not be negative, got ", o.overshoot, "."));
  if (samples.size() == 0) return samples.x;
  const size_t width = static_cast<size_t>(samples.x.size() / samples.size());
  std::vector<double> result = samples.x.values();
  std::vector<int64_t> places = places_without(target.forward(samples.x, samples).fooled);
  for (int64_t k = 0; k < o.iterations && !places.empty(); ++k) {
    const AttackSamples now = samples.take(places);
    const std::vector<double> origin = now.x.values();
    std::vector<double> x;
    for (const int64_t p : places)
      x.insert(x.end(), result.begin() + p * static_cast<int64_t>(width),
               result.begin() + (p + 1) * static_cast<int64_t>(width));
    const auto upload = [&](const std::vector<double>& v) {
      return tensor(v, now.x.shape(), now.x.dtype(), now.x.device());
    };
    const Plane plane = nearest(target, now, upload(x), o.norm);
    for (size_t i = 0; i < places.size(); ++i) {
      const double* w = plane.w.data() + i * width;
      const double reach = std::abs(plane.value[i]) + 1e-4;  // a little beyond the plane
      double square = 0, absolute = 0;
      for (size_t j = 0; j < width; ++j) square += w[j] * w[j], absolute += std::abs(w[j]);
      if (!(absolute > 0)) continue;
      for (size_t j = 0; j < width; ++j) {
        const double step = o.norm == AttackNorm::l2 ? reach / square * w[j]
                                                     : reach / absolute *
                                                           (w[j] > 0   ? 1.0
                                                            : w[j] < 0 ? -1.0
                                                                       : 0.0);
        x[i * width + j] += (1 + o.overshoot) * step;
        x[i * width + j] = std::clamp(x[i * width + j], o.range.low, o.range.high);
      }
      std::copy_n(x.begin() + static_cast<ptrdiff_t>(i * width), width,
                  result.begin() + places[i] * static_cast<int64_t>(width));
    }
    places = take(places, places_without(target.forward(upload(x), now).fooled));
  }
  return tensor(result, samples.x.shape(), samples.x.dtype(), samples.x.device());
}

}  // namespace slope::nn
