// Random tensors on the cpu: blocks of random_kernel.cpp on several threads. Every value depends on
// the key and its place alone, so the threads cannot show.
#include <algorithm>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/random_kernel.h"
#include "backends/cpu/threads.h"
#include "core/ops/philox.h"
#include "core/random.h"

namespace slope::cpu {
namespace {

constexpr int64_t kTaskBlocks = 2048;

template <typename T>
const RandomKernels<T>& kernels() {
  constexpr bool single = sizeof(T) == 4;
  const auto pick = [](const auto& f32, const auto& f64) -> const RandomKernels<T>& {
    if constexpr (single) {
      return f32;
    } else {
      return f64;
    }
  };
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return pick(avx512::kRandomFloat, avx512::kRandomDouble);
    case Isa::avx2:
      return pick(avx2::kRandomFloat, avx2::kRandomDouble);
#endif
    default:
      return pick(generic::kRandomFloat, generic::kRandomDouble);
  }
}

template <typename T>
std::unique_ptr<Prepared> fill(int64_t size, decltype(RandomKernels<T>::uniform) blocks,
                               double nanoseconds_per_value) {
  return prepared([=](const Argument* arguments, void*) {
    constexpr int64_t n = values_per_block<T>;
    const int32_t* key = data<int32_t>(arguments[0]);
    T* out = data<T>(arguments[1]);
    const int64_t whole = size / n;
    const double cost = static_cast<double>(size) * nanoseconds_per_value;
    parallel_for((whole + kTaskBlocks - 1) / kTaskBlocks, cost, [&](int64_t task) {
      const int64_t first = task * kTaskBlocks;
      blocks(key, static_cast<uint64_t>(first), std::min(kTaskBlocks, whole - first),
             out + first * n);
    });
    T last[n];
    blocks(key, static_cast<uint64_t>(whole), 1, last);
    std::copy_n(last, size % n, out + whole * n);
  });
}

std::unique_ptr<Prepared> uniform(const Call& call) {
  const auto& attributes = call.as<RandomAttributes>();
  return dispatch_float(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return fill<T>(attributes.shape.size(), kernels<T>().uniform, 1.5);
  });
}

std::unique_ptr<Prepared> normal(const Call& call) {
  const auto& attributes = call.as<RandomAttributes>();
  return dispatch_float(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return fill<T>(attributes.shape.size(), kernels<T>().normal, 3);
  });
}

}  // namespace

void add_random(KernelTable& table) {
  table["uniform"] = uniform;
  table["normal"] = normal;
}

}  // namespace slope::cpu
