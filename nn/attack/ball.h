// The ball that an attack stays in, and the random numbers of a sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/attack/attack.h"
#include "nn/attack/rows.h"

namespace slope::nn {

enum class AttackNorm { linf, l2 };

// All x' with |x' - x| <= eps in the norm and every value in the range.
struct Ball {
  double eps = 8.0 / 255;  // as a fraction of the pixel range; l2: of the whole sample
  AttackNorm norm = AttackNorm::linf;
  Range range = {};

  // ValueError, beginning with `where`: eps negative or not a number, above the range for linf.
  void check(const char* where) const;
  // clean, x: (N, ..) -> the nearest of the ball (l2: towards the clean sample, then into the
  // range).
  Tensor project(const Tensor& clean, const Tensor& x) const;
  // The direction of steepest ascent of length 1 in the norm: sign(g), or g / |g|. Zero where the
  // gradient is zero.
  Tensor direction(const Tensor& gradient) const;
  // Uniform in the ball around the samples (linf: in each value; l2: by volume), whatever the
  // range. `stream` tells the draws of different attacks and restarts apart.
  Tensor random_near(const AttackSamples& samples, uint64_t seed, uint32_t stream) const;
  // The same, then in the range.
  Tensor random_start(const AttackSamples& samples, uint64_t seed, uint32_t stream) const;
  // On the ball's surface, as APGD starts: eps u / max|u| with u uniform on (-1, 1), l2: eps u /
  // |u| with u normal.
  Tensor random_surface(const AttackSamples& samples, uint64_t seed, uint32_t stream) const;
};

// Random numbers of one sample: Philox with the counter (stream, number of the sample).
class SampleRandom {
 public:
  SampleRandom(uint64_t seed, uint32_t stream, int64_t sample)
      : seed_(seed), stream_(stream), counter_(static_cast<uint32_t>(sample)) {}
  double uniform();  // [0, 1), 53 bits
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal();           // Box-Muller, one value of two
  int64_t below(int64_t n);  // 0..n-1
  double sign() { return uniform() < 0.5 ? -1 : 1; }

 private:
  uint64_t seed_;
  uint32_t stream_, counter_;
  uint64_t block_ = 0;
  int used_ = 2;
  double values_[2] = {0, 0};
};

// Streams of the attacks' random numbers: one for each attack, restarts counted up from it.
enum class AttackStream : uint32_t {
  noise = 0x41000000,
  fgsm = 0x41010000,
  pgd = 0x41020000,
  apgd = 0x41030000,
  square = 0x41040000,
  spsa = 0x41050000,
  fab = 0x41060000,
};
inline uint32_t stream(AttackStream attack, int64_t restart = 0) {
  return static_cast<uint32_t>(attack) + static_cast<uint32_t>(restart);
}

// One value for each value of samples.x, drawn sample by sample in row-major order.
template <typename F>
Tensor draw_like(const AttackSamples& samples, uint64_t seed, uint32_t stream, F&& f) {
  std::vector<double> values;
  const int64_t n = samples.size(), width = n == 0 ? 0 : samples.x.size() / n;
  values.reserve(static_cast<size_t>(n * width));
  for (int64_t i = 0; i < n; ++i) {
    SampleRandom random(seed, stream, samples.number(i));
    for (int64_t j = 0; j < width; ++j) values.push_back(f(random));
  }
  return tensor(values, samples.x.shape(), samples.x.dtype(), samples.x.device());
}

}  // namespace slope::nn
