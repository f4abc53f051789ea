#include "backends/cpu/random_kernel.h"

#include "core/ops/philox.h"
#include "core/ops/scalar.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

template <typename T>
void uniform(const int32_t* key_memory, uint64_t first, int64_t blocks, T* __restrict__ out) {
  constexpr int n = values_per_block<T>;
  const int32_t key[4] = {key_memory[0], key_memory[1], key_memory[2], key_memory[3]};
  for (int64_t block = 0; block < blocks; ++block) {
    const PhiloxWords words = philox_block(key, first + static_cast<uint64_t>(block));
    for (int i = 0; i < n; ++i) out[block * n + i] = uniform_of(words, i, T{});
  }
}

// Box and Muller 1958: a radius and an angle give two independent normal values.
template <typename T>
void normal(const int32_t* key, uint64_t first, int64_t blocks, T* out) {
  constexpr T two_pi = static_cast<T>(6.283185307179586476925286766559);
  constexpr int64_t at_once = 64;  // blocks
  constexpr int64_t most = at_once * values_per_block<T>;
  T u[most], radius[most / 2], angle[most / 2];
  for (int64_t begin = 0; begin < blocks; begin += at_once) {
    const int64_t count = blocks - begin < at_once ? blocks - begin : at_once;
    uniform(key, first + static_cast<uint64_t>(begin), count, u);
    const int64_t pairs = count * values_per_block<T> / 2;
    for (int64_t i = 0; i < pairs; ++i) {
      radius[i] = math::sqrt(-2 * math::log(1 - u[2 * i]));  // 1 - u is never 0
      angle[i] = two_pi * u[2 * i + 1];
    }
    T* __restrict__ z = out + begin * values_per_block<T>;
    for (int64_t i = 0; i < pairs; ++i) {
      z[2 * i] = radius[i] * math::cos(angle[i]);
      z[2 * i + 1] = radius[i] * math::sin(angle[i]);
    }
  }
}

}  // namespace

const RandomKernels<float> kRandomFloat{uniform<float>, normal<float>};
const RandomKernels<double> kRandomDouble{uniform<double>, normal<double>};

}  // namespace slope::cpu::SLOPE_ISA
