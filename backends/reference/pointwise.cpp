// Pointwise kernels: the formulas of core/ops/pointwise.def, one value after the other, whatever
// the layout.
#include <array>
#include <cmath>

#include "backends/reference/reference.h"
#include "core/ops/pointwise.h"
#include "core/ops/pointwise_formulas.h"

namespace slope::reference {
namespace {

// Strides of x seen as a tensor of `shape`: 0 along axes that broadcasting stretches.
Strides broadcast_strides(const Tensor& x, const Shape& shape) {
  Strides strides = Shape::filled(shape.rank(), 0);
  const int shift = shape.rank() - x.rank();
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == shape[i + shift]) strides[i + shift] = x.strides()[i];
  }
  return strides;
}

template <typename Formula, typename T>
std::unique_ptr<Prepared> prepare_typed(const Call& call) {
  constexpr size_t n_inputs = Formula::arity;
  const Shape shape = call.op.shape(call)[0].shape;
  std::array<Strides, n_inputs> strides;
  for (size_t i = 0; i < n_inputs; ++i) strides[i] = broadcast_strides(call.inputs[i], shape);
  const auto numbers = call.as<PointwiseParameters>();
  return prepared([=](const Argument* arguments, void*) {
    T* out = data<T>(arguments[n_inputs]);
    const T p = static_cast<T>(numbers.p), q = static_cast<T>(numbers.q);
    const int64_t size = shape.size();
    for (int64_t linear = 0; linear < size; ++linear) {
      T in[n_inputs];
      for (size_t i = 0; i < n_inputs; ++i) {
        int64_t rest = linear, place = 0;
        for (int axis = shape.rank() - 1; axis >= 0; --axis) {
          place += rest % shape[axis] * strides[i][axis];
          rest /= shape[axis];
        }
        in[i] = data<T>(arguments[i])[place];
      }
      out[linear] = Formula::eval(in, p, q);
    }
  });
}

template <typename Formula>
std::unique_ptr<Prepared> prepare(const Call& call) {
  return dispatch_float(call.in(0).dtype(),
                        [&]<typename T>() { return prepare_typed<Formula, T>(call); });
}

}  // namespace

void add_pointwise(KernelTable& table) {
#define KERNEL(name, Formula) table[name] = prepare<Formula>;
#include "core/ops/pointwise_each.inc"
}

}  // namespace slope::reference
