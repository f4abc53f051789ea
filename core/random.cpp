// The host's side of random numbers: keys for random ops, and draws for shuffles and choices.
#include "core/random.h"

#include <numeric>

#include "core/ops/philox.h"

namespace slope {
namespace {

// 64 random bits at a time, from the blocks of one counter value.
class Draws {
 public:
  Draws(uint64_t seed, uint32_t stream, uint32_t counter)
      : seed_(seed), stream_(stream), counter_(counter) {}

  uint64_t next() {
    const auto w = philox(seed_, stream_, counter_, block_++);
    return uint64_t{w[0]} << 32 | w[1];
  }

  // 0..n-1: draws from the incomplete last run of n values are thrown away.
  uint64_t below(uint64_t n) {
    const uint64_t first_good = (0 - n) % n;  // 2^64 mod n
    uint64_t x = next();
    while (x < first_good) x = next();
    return x % n;
  }

 private:
  uint64_t seed_;
  uint32_t stream_;
  uint32_t counter_;
  uint64_t block_ = 0;
};

}  // namespace

std::array<uint32_t, 4> philox(uint64_t seed, uint32_t stream, uint32_t counter, uint64_t block) {
  const int32_t key[4] = {static_cast<int32_t>(seed), static_cast<int32_t>(seed >> 32),
                          static_cast<int32_t>(stream), static_cast<int32_t>(counter)};
  const PhiloxWords w = philox_block(key, block);
  return {w.word[0], w.word[1], w.word[2], w.word[3]};
}

Tensor make_key(uint64_t seed, uint32_t stream, uint32_t counter, Device device) {
  const int32_t key[4] = {static_cast<int32_t>(seed), static_cast<int32_t>(seed >> 32),
                          static_cast<int32_t>(stream), static_cast<int32_t>(counter)};
  return from_host(std::span<const int32_t>(key), {4}, device);
}

Tensor Rng::next_key(Device device) { return make_key(seed_, stream_, counter_++, device); }

double Rng::uniform() {
  return static_cast<double>(Draws(seed_, stream_, counter_++).next() >> 11) * 0x1p-53;
}

uint64_t Rng::below(uint64_t n) {
  if (n == 0) throw ValueError("Rng::below: n is 0; there is no number below it. Pass 1 or more.");
  return Draws(seed_, stream_, counter_++).below(n);
}

std::vector<int64_t> Rng::permutation(int64_t n) {
  if (n < 0) throw ValueError(concat("Rng::permutation: n is ", n, ". It must be 0 or more."));
  Draws draws(seed_, stream_, counter_++);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draws.below(i)]);
  return order;
}

}  // namespace slope
