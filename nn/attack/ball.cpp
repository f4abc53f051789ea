#include "nn/attack/ball.h"

#include <cmath>
#include <numbers>

#include "core/ops.h"

namespace slope::nn {
namespace {

Axes sample_axes(const Tensor& x) {
  Axes axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace

void Ball::check(const char* where) const {
  if (!(eps >= 0)) throw ValueError(concat(where, ": eps must not be negative, got ", eps, "."));
  if (norm == AttackNorm::linf && eps > range.high - range.low) {
    throw ValueError(concat(where, ": eps ", eps, " is above ", range.high - range.low,
                            ", the whole range of a pixel. Sizes are fractions: write 8/255."));
  }
  if (std::isinf(eps)) throw ValueError(concat(where, ": eps must be finite."));
}

Tensor Ball::project(const Tensor& clean, const Tensor& x) const {
  if (norm == AttackNorm::linf) {
    const Tensor near = minimum(maximum(x, clean - eps), clean + eps);
    return clamp(near, range.low, range.high);
  }
  const Tensor change = x - clean, length = slope::norm(change, sample_axes(x), true);
  const Tensor scale = select(length > eps, eps / maximum(length, 1e-30), 1.0);
  return clamp(clean + change * scale, range.low, range.high);
}

Tensor Ball::direction(const Tensor& gradient) const {
  if (norm == AttackNorm::linf) return sign(gradient);
  // First by the largest value: the square of a tiny gradient would underflow.
  const Axes axes = sample_axes(gradient);
  const Tensor largest = max(abs(gradient), axes, true);
  const Tensor scaled = gradient / select(largest > 0, largest, 1.0);
  return scaled / maximum(slope::norm(scaled, axes, true), 1e-12);
}

Tensor Ball::random_near(const AttackSamples& samples, uint64_t seed, uint32_t stream) const {
  if (norm == AttackNorm::linf) {
    const Tensor change =
        draw_like(samples, seed, stream, [&](SampleRandom& r) { return r.uniform(-eps, eps); });
    return samples.x + change;
  }
  const Tensor u = draw_like(samples, seed, stream, [](SampleRandom& r) { return r.normal(); });
  const int64_t n = samples.size();
  const double width = static_cast<double>(samples.x.size()) / static_cast<double>(n);
  std::vector<double> radius;  // the radius has draws of its own: the sample's number, other stream
  for (int64_t i = 0; i < n; ++i) {
    SampleRandom random(seed, stream ^ 0x8000u, samples.number(i));
    radius.push_back(eps * std::pow(random.uniform(), 1 / width));
  }
  const Tensor length = slope::norm(u, sample_axes(u), true);
  return samples.x + u / length * column(radius, u);
}

Tensor Ball::random_start(const AttackSamples& samples, uint64_t seed, uint32_t stream) const {
  return project(samples.x, random_near(samples, seed, stream));
}

Tensor Ball::random_surface(const AttackSamples& samples, uint64_t seed, uint32_t stream) const {
  const bool flat = norm == AttackNorm::linf;
  const Tensor u = draw_like(samples, seed, stream,
                             [&](SampleRandom& r) { return flat ? r.uniform(-1, 1) : r.normal(); });
  const Axes axes = sample_axes(u);
  const Tensor length = flat ? max(abs(u), axes, true) : slope::norm(u, axes, true);
  return project(samples.x, samples.x + u / length * eps);
}

double SampleRandom::uniform() {
  if (used_ == 2) {
    const auto w = philox(seed_, stream_, counter_, block_++);
    for (size_t i = 0; i < 2; ++i) {
      const uint64_t word = uint64_t{w[2 * i]} << 32 | w[2 * i + 1];
      values_[i] = static_cast<double>(word >> 11) * 0x1p-53;
    }
    used_ = 0;
  }
  return values_[used_++];
}

double SampleRandom::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

int64_t SampleRandom::below(int64_t n) {
  return static_cast<int64_t>(uniform() * static_cast<double>(n));
}

}  // namespace slope::nn
