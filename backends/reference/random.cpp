// Random numbers: value i depends on the key and on i alone.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "backends/reference/reference.h"
#include "core/ops/philox.h"
#include "core/random.h"

namespace slope::reference {
namespace {

template <typename T>
void uniform_block(const PhiloxWords& words, T* values) {
  for (int i = 0; i < values_per_block<T>; ++i) values[i] = uniform_of(words, i, T{});
}

// Box and Muller 1958: a radius and an angle give two independent normal values.
template <typename T>
void normal_block(const PhiloxWords& words, T* values) {
  for (int i = 0; i < values_per_block<T>; i += 2) {
    const T radius =
        std::sqrt(T{-2} * std::log(T{1} - uniform_of(words, i, T{})));  // 1 - u is never 0
    const T angle = T{2} * std::numbers::pi_v<T> * uniform_of(words, i + 1, T{});
    values[i] = radius * std::cos(angle);
    values[i + 1] = radius * std::sin(angle);
  }
}

template <typename T, void (*fill_block)(const PhiloxWords&, T*)>
std::unique_ptr<Prepared> fill(const RandomAttributes& attributes) {
  return prepared([size = attributes.shape.size()](const Argument* arguments, void*) {
    const int32_t* key = data<int32_t>(arguments[0]);
    T* out = data<T>(arguments[1]);
    constexpr int64_t n = values_per_block<T>;
    for (int64_t first = 0; first < size; first += n) {
      T values[n];
      fill_block(philox_block(key, static_cast<uint64_t>(first / n)), values);
      std::copy_n(values, std::min(n, size - first), out + first);
    }
  });
}

std::unique_ptr<Prepared> uniform(const Call& call) {
  const auto& attributes = call.as<RandomAttributes>();
  return dispatch_float(static_cast<Dtype>(attributes.dtype),
                        [&]<typename T>() { return fill<T, uniform_block<T>>(attributes); });
}

std::unique_ptr<Prepared> normal(const Call& call) {
  const auto& attributes = call.as<RandomAttributes>();
  return dispatch_float(static_cast<Dtype>(attributes.dtype),
                        [&]<typename T>() { return fill<T, normal_block<T>>(attributes); });
}

}  // namespace

void add_random(KernelTable& table) {
  table["uniform"] = uniform;
  table["normal"] = normal;
}

}  // namespace slope::reference
