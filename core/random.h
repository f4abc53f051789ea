// Random numbers: Philox4x32-10 (Salmon et al. 2011), counter-based, so value i of a stream is a
// function of (seed, stream, counter, i) alone: the same on every backend and for every number of
// threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace slope {

// Philox with key (seed low, seed high) at counter (block, block >> 32, stream, counter): four
// random words. The host's entry; kernels use core/ops/philox.h.
std::array<uint32_t, 4> philox(uint64_t seed, uint32_t stream, uint32_t counter, uint64_t block);

// A key is int32 (4): seed low, seed high, stream, counter. Random ops take it as an input, so a
// plan can be fed new ones.
Tensor make_key(uint64_t seed, uint32_t stream, uint32_t counter, Device device = default_device());
// Uniform on [0, 1): 24 random bits for float32, 53 for float64. Value i of float32 uses word i % 4
// of block i / 4; of float64 words 2 (i % 2) and 2 (i % 2) + 1 of block i / 2.
Tensor uniform(const Tensor& key, const Shape& shape, Dtype dtype = Dtype::f32);
// Normal(0, 1) by Box-Muller. Equal across backends up to the rounding of log, sin and cos.
// Value i of float32 is made of words 2 (i % 4 / 2) and 2 (i % 4 / 2) + 1 of block i / 4, of
// float64 of block i / 2: the first gives the radius, the second the angle, and the even value is
// the cosine, the odd one the sine.
Tensor normal(const Tensor& key, const Shape& shape, Dtype dtype = Dtype::f32);

// For backends: uniform and normal.
struct RandomAttributes {
  Shape shape;
  int64_t dtype;
};

// The host's side: a stream of keys and numbers. Every use of `next_key` or of a host draw moves
// `counter` by one.
class Rng {
 public:
  explicit Rng(uint64_t seed = 0, uint32_t stream = 0) : seed_(seed), stream_(stream) {}
  uint64_t seed() const { return seed_; }
  uint32_t stream() const { return stream_; }
  uint32_t counter() const { return counter_; }
  void set_counter(uint32_t counter) { counter_ = counter; }

  Tensor next_key(Device device = default_device());
  double uniform();                             // [0, 1)
  uint64_t below(uint64_t n);                   // 0..n-1, unbiased
  std::vector<int64_t> permutation(int64_t n);  // Fisher-Yates
  // Another stream of the same seed, e.g. one for data order and one for dropout.
  Rng split(uint32_t stream) const { return Rng(seed_, stream); }

 private:
  uint64_t seed_;
  uint32_t stream_;
  uint32_t counter_ = 0;
};

}  // namespace slope
