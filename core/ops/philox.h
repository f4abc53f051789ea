// Philox4x32-10: the counter-based random numbers of every backend (Salmon, Moraes, Dror, Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", 2011). Ten rounds turn a counter of four words and
// a key of two into four random words.
#pragma once

#include <cstdint>

#include "core/ops/scalar_arithmetic.h"

namespace slope {

struct PhiloxWords {
  uint32_t word[4];
};

SLOPE_SCALAR_INLINE PhiloxWords philox_words(const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xd2511f53} * c0;
    const uint64_t b = uint64_t{0xcd9e8d57} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9e3779b9;  // the golden ratio and sqrt(3) - 1, as in the paper
    k1 += 0xbb67ae85;
  }
  return {{c0, c1, c2, c3}};
}

// The words of block `block` under a key as random ops take it: int32 (4), seed low, seed high,
// stream, counter.
SLOPE_SCALAR_INLINE PhiloxWords philox_block(const int32_t key[4], uint64_t block) {
  const uint32_t counter[4] = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                               static_cast<uint32_t>(key[2]), static_cast<uint32_t>(key[3])};
  const uint32_t seed[2] = {static_cast<uint32_t>(key[0]), static_cast<uint32_t>(key[1])};
  return philox_words(counter, seed);
}

// 24 random bits in [0, 1).
SLOPE_SCALAR_INLINE float unit_float(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}
// 53 random bits in [0, 1), the first word being the upper half.
SLOPE_SCALAR_INLINE double unit_double(uint32_t high, uint32_t low) {
  return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

// How many values of T one block gives, and value number `i` of them, uniform on [0, 1).
template <typename T>
constexpr int values_per_block = sizeof(T) == 4 ? 4 : 2;
SLOPE_SCALAR_INLINE float uniform_of(const PhiloxWords& w, int i, float) {
  return unit_float(w.word[i]);
}
SLOPE_SCALAR_INLINE double uniform_of(const PhiloxWords& w, int i, double) {
  return unit_double(w.word[2 * i], w.word[2 * i + 1]);
}

}  // namespace slope
