// The numbers that tests/golden/make_parity.py and make_exchange.py give to weights and samples.
#pragma once

#include <cstdint>
#include <vector>

namespace slope::test {

inline uint64_t splitmix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// `size` numbers in [0, 1): those of tensor number p.
inline std::vector<double> golden_uniform(uint64_t p, int64_t size) {
  std::vector<double> values;
  for (uint64_t i = 0; i < static_cast<uint64_t>(size); ++i)
    values.push_back(static_cast<double>(splitmix64((p << 32) + i) >> 11) * 0x1p-53);
  return values;
}

}  // namespace slope::test
