// Pointwise kernels: the formulas of core/ops/pointwise.def, four values at a time where the inputs
// lie like the result, else each value by its place.
#include "core/ops/pointwise.h"

#include <algorithm>

#include "backends/cuda/context.h"
#include "backends/cuda/strided.h"
#include "core/ops/pointwise_formulas.h"

namespace slope::cuda {
namespace {

template <int n, typename T>
struct PointwiseCall {
  const T* in[n];
  T* out;
  int64_t size;
  T p, q;
  bool plain;    // every input is as long as the result and contiguous, all 16-byte aligned
  Walk<n> walk;  // of the inputs, when it is not
};

template <typename Formula, typename T>
__global__ void pointwise_kernel(PointwiseCall<Formula::arity, T> call) {
  constexpr int n = Formula::arity;
  if (call.plain) {
    for (int64_t i = 4 * thread_of_grid(); i < call.size; i += 4 * threads_of_grid()) {
      if (i + 4 <= call.size) {
        Four<T> in[n], out;
        for (int k = 0; k < n; ++k) in[k] = load4(call.in[k] + i);
        for (int j = 0; j < 4; ++j) {
          T x[n];
          for (int k = 0; k < n; ++k) x[k] = in[k].value[j];
          out.value[j] = Formula::eval(x, call.p, call.q);
        }
        store4(call.out + i, out);
      } else {
        for (int64_t j = i; j < call.size; ++j) {
          T x[n];
          for (int k = 0; k < n; ++k) x[k] = call.in[k][j];
          call.out[j] = Formula::eval(x, call.p, call.q);
        }
      }
    }
  } else {
    for (int64_t i = thread_of_grid(); i < call.size; i += threads_of_grid()) {
      int64_t at[n];
      call.walk.places(i, at);
      T x[n];
      for (int k = 0; k < n; ++k) x[k] = call.in[k][at[k]];
      call.out[i] = Formula::eval(x, call.p, call.q);
    }
  }
}

// Strides of x seen as a tensor of `shape`: 0 along axes that broadcasting stretches.
Strides broadcast_strides(const Tensor& x, const Shape& shape) {
  Strides strides = Shape::filled(shape.rank(), 0);
  const int shift = shape.rank() - x.rank();
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == shape[i + shift]) strides[i + shift] = x.strides()[i];
  }
  return strides;
}

bool aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % 16 == 0; }

template <typename Formula>
std::unique_ptr<Prepared> prepare(const Context& context, const Call& call) {
  constexpr int n = Formula::arity;
  const Shape shape = call.op.shape(call)[0].shape;
  std::array<Strides, n> strides;
  bool plain = true;
  for (int i = 0; i < n; ++i) {
    strides[static_cast<size_t>(i)] = broadcast_strides(call.in(i), shape);
    plain = plain && call.in(i).contiguous() && call.in(i).shape() == shape;
  }
  const Walk<n> walk = walk_over<n>(call.op.name, shape, strides);
  const auto numbers = call.as<PointwiseParameters>();
  const Launcher at = context.launcher(call.op.name);
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    PointwiseCall<n, T> filled{};
    filled.size = shape.size();
    filled.p = static_cast<T>(numbers.p);
    filled.q = static_cast<T>(numbers.q);
    filled.walk = walk;
    return prepared([=](const Argument* args, void*) {
      PointwiseCall<n, T> now = filled;
      now.out = data<T>(args[n]);
      now.plain = plain && aligned(now.out);
      for (int i = 0; i < n; ++i) {
        now.in[i] = data<T>(args[i]);
        now.plain = now.plain && aligned(now.in[i]);
      }
      launch(at, grid_for(now.plain ? (now.size + 3) / 4 : now.size), pointwise_kernel<Formula, T>,
             now);
    });
  });
}

}  // namespace

void add_pointwise(KernelTable& table) {
#define KERNEL(name, Formula) table[name] = prepare<Formula>;
#include "core/ops/pointwise_each.inc"
}

}  // namespace slope::cuda
