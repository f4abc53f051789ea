#include "nn/attack/noise.h"

#include <cmath>

#include "core/ops.h"

namespace slope::nn {

Tensor gaussian_noise(const AttackSamples& samples, const NoiseOptions& o) {
  return mixed_noise(samples, {.sigmas = {o.sigma}, .share = 1, .range = o.range, .seed = o.seed});
}

Tensor mixed_noise(const AttackSamples& samples, const MixedNoiseOptions& o) {
  if (o.sigmas.empty()) throw ValueError("noise: there is no sigma.");
  for (const double sigma : o.sigmas) {
    if (!(sigma >= 0) || std::isinf(sigma))
      throw ValueError(concat("noise: sigma must not be negative, got ", sigma, "."));
  }
  if (!(o.share >= 0 && o.share <= 1))
    throw ValueError(concat("noise: share must be from 0 to 1, got ", o.share, "."));
  std::vector<double> sigma;  // of each sample, from draws of its own
  for (int64_t i = 0; i < samples.size(); ++i) {
    SampleRandom random(o.seed, stream(AttackStream::noise, 3), samples.number(i));
    const bool noisy = random.uniform() < o.share;
    const auto which = static_cast<size_t>(random.below(static_cast<int64_t>(o.sigmas.size())));
    sigma.push_back(noisy ? o.sigmas[which] : 0);
  }
  const Tensor change = draw_like(samples, o.seed, stream(AttackStream::noise),
                                  [](SampleRandom& r) { return r.normal(); });
  return clamp(samples.x + change * column(sigma, change), o.range.low, o.range.high);
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
