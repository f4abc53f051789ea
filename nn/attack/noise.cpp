#include "nn/attack/noise.h"

#include <cmath>

#include "core/ops.h"

namespace slope::nn {

Tensor gaussian_noise(const AttackSamples& samples, const NoiseOptions& o) {
  if (!(o.sigma >= 0) || std::isinf(o.sigma))
    throw ValueError(concat("noise: sigma must not be negative, got ", o.sigma, "."));
  const Tensor change = draw_like(samples, o.seed, stream(AttackStream::noise),
                                  [&](SampleRandom& r) { return o.sigma * r.normal(); });
  return clamp(samples.x + change, o.range.low, o.range.high);
}

Tensor uniform_noise(const AttackSamples& samples, const UniformNoiseOptions& o) {
  const Ball ball{.eps = o.eps, .range = o.range};
  ball.check("uniform");
  return ball.random_start(samples, o.seed, stream(AttackStream::noise, 1));
}

Tensor salt_pepper_noise(const AttackSamples& samples, const SaltPepperOptions& o) {
  if (!(o.p >= 0 && o.p <= 1))
    throw ValueError(concat("salt-pepper: p must be from 0 to 1, got ", o.p, "."));
  if (std::isinf(o.range.low) || std::isinf(o.range.high))
    throw ValueError(
        "salt-pepper: these data have no lowest and highest value. Use noise,sigma=..");
  const int64_t n = samples.size(), rank = samples.x.rank();
  const int64_t channels = rank == 4 ? samples.x.dim(3) : 1;
  const int64_t pixels = n == 0 ? 0 : samples.x.size() / n / channels;
  std::vector<double> hit, value;
  for (int64_t i = 0; i < n; ++i) {
    SampleRandom random(o.seed, stream(AttackStream::noise, 2), samples.number(i));
    for (int64_t j = 0; j < pixels; ++j) {
      const double u = random.uniform();
      for (int64_t c = 0; c < channels; ++c) {
        hit.push_back(u < o.p);
        value.push_back(u < o.p / 2 ? o.range.low : o.range.high);
      }
    }
  }
  const auto upload = [&](const std::vector<double>& v) {
    return tensor(v, samples.x.shape(), samples.x.dtype(), samples.x.device());
  };
  return select(upload(hit), upload(value), samples.x);
}

}  // namespace slope::nn
