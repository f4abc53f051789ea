// Rows by index: gather, its gradient, and one-hot. Random numbers, which are indexed too: value i
// is a function of the key and of i.
#include <algorithm>

#include "backends/cuda/context.h"
#include "backends/cuda/strided.h"
#include "core/ops/movement.h"
#include "core/ops/philox.h"
#include "core/ops/scalar.h"
#include "core/random.h"

namespace slope::cuda {
namespace {

// Values in one row of x: (rows, ...).
int64_t row_size(const Tensor& x) {
  int64_t n = 1;
  for (int i = 1; i < x.rank(); ++i) n *= x.shape()[i];
  return n;
}

// x: (m, row), indices: (n) -> out: (n, row), size of them
template <typename T>
__global__ void gather_rows_kernel(const T* x, const int32_t* indices, T* out, int64_t size,
                                   int64_t row) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const uint32_t which = static_cast<uint32_t>(i) / static_cast<uint32_t>(row);
    out[i] = x[indices[which] * row + (i - which * row)];
  }
}

std::unique_ptr<Prepared> prepare_gather_rows(const Context& context, const Call& call) {
  const int64_t row = row_size(call.in(0)), size = call.in(1).size() * row;
  check_count(call.op.name, size);
  return dispatch_any(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), gather_rows_kernel<T>, data<T>(args[0]), data<int32_t>(args[1]),
             data<T>(args[2]), size, row);
    });
  });
}

// g: (n, row), indices: (n) -> out: (rows, row), size of them. Each result looks through all
// indices: the order of its sum is theirs, and nothing is added by two threads.
template <typename T>
__global__ void scatter_add_rows_kernel(const T* g, const int32_t* indices, T* out, int64_t n,
                                        int64_t size, int64_t row) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const int32_t which =
        static_cast<int32_t>(static_cast<uint32_t>(i) / static_cast<uint32_t>(row));
    const int64_t column = i - which * row;
    T sum = 0;
    for (int64_t k = 0; k < n; ++k) {
      if (indices[k] == which) sum += g[k * row + column];
    }
    out[i] = sum;
  }
}

std::unique_ptr<Prepared> prepare_scatter_add_rows(const Context& context, const Call& call) {
  const int64_t n = call.in(1).size(), row = row_size(call.in(0));
  const int64_t size = call.as<ScatterAttributes>().rows * row;
  check_count(call.op.name, size);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), scatter_add_rows_kernel<T>, data<T>(args[0]),
             data<int32_t>(args[1]), data<T>(args[2]), n, size, row);
    });
  });
}

// indices: (n) -> out: (n, classes), size of them
template <typename T>
__global__ void one_hot_kernel(const int32_t* indices, T* out, int64_t size, int64_t classes) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    const uint32_t which = static_cast<uint32_t>(i) / static_cast<uint32_t>(classes);
    out[i] = static_cast<T>(indices[which] == i - which * classes);
  }
}

std::unique_ptr<Prepared> prepare_one_hot(const Context& context, const Call& call) {
  const auto attributes = call.as<OneHotAttributes>();
  const int64_t size = call.in(0).size() * attributes.classes;
  check_count(call.op.name, size);
  return dispatch_any(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      launch(at, grid_for(size), one_hot_kernel<T>, data<int32_t>(args[0]), data<T>(args[1]), size,
             attributes.classes);
    });
  });
}

struct Uniform {
  template <typename T>
  static SLOPE_DEVICE void fill(const PhiloxWords& words, T* values) {
    for (int i = 0; i < values_per_block<T>; ++i) values[i] = uniform_of(words, i, T{});
  }
};

// Box and Muller 1958: a radius and an angle give two independent normal values.
struct Normal {
  template <typename T>
  static SLOPE_DEVICE void fill(const PhiloxWords& words, T* values) {
    for (int i = 0; i < values_per_block<T>; i += 2) {
      // 1 - u is never 0
      const T radius = math::sqrt(T(-2) * math::log(T(1) - uniform_of(words, i, T{})));
      const T angle = static_cast<T>(6.283185307179586476925) * uniform_of(words, i + 1, T{});
      values[i] = radius * math::cos(angle);
      values[i + 1] = radius * math::sin(angle);
    }
  }
};

// One thread makes the values of one Philox block.
template <typename Distribution, typename T>
__global__ void random_kernel(const int32_t* key, T* out, int64_t size) {
  constexpr int n = values_per_block<T>;
  for (int64_t block = thread_of_grid(); block * n < size; block += threads_of_grid()) {
    T values[n];
    Distribution::fill(philox_block(key, static_cast<uint64_t>(block)), values);
    for (int i = 0; i < n; ++i) {
      if (block * n + i < size) out[block * n + i] = values[i];
    }
  }
}

template <typename Distribution>
std::unique_ptr<Prepared> prepare_random(const Context& context, const Call& call) {
  const auto attributes = call.as<RandomAttributes>();
  const int64_t size = attributes.shape.size();
  return dispatch_float(static_cast<Dtype>(attributes.dtype), [&]<typename T>() {
    return prepared([=, at = context.launcher(call.op.name)](const Argument* args, void*) {
      constexpr int n = values_per_block<T>;
      launch(at, grid_for((size + n - 1) / n), random_kernel<Distribution, T>,
             data<int32_t>(args[0]), data<T>(args[1]), size);
    });
  });
}

}  // namespace

void add_index(KernelTable& table) {
  table["gather_rows"] = prepare_gather_rows;
  table["scatter_add_rows"] = prepare_scatter_add_rows;
  table["one_hot"] = prepare_one_hot;
}

void add_random(KernelTable& table) {
  table["uniform"] = prepare_random<Uniform>;
  table["normal"] = prepare_random<Normal>;
}

}  // namespace slope::cuda
