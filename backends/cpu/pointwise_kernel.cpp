#include "backends/cpu/pointwise_kernel.h"

#include "core/ops/pointwise_formulas.h"

namespace slope::cpu::SLOPE_ISA {
namespace {

template <typename Formula, typename T>
void loop(int64_t n, const void* const* in, void* out, double p_number, double q_number) {
  const T p = static_cast<T>(p_number), q = static_cast<T>(q_number);
  T* __restrict__ y = static_cast<T*>(out);
  const T* a = static_cast<const T*>(in[0]);
  if constexpr (Formula::arity == 1) {
    for (int64_t i = 0; i < n; ++i) {
      const T values[] = {a[i]};
      y[i] = Formula::eval(values, p, q);
    }
  } else if constexpr (Formula::arity == 2) {
    const T* b = static_cast<const T*>(in[1]);
    for (int64_t i = 0; i < n; ++i) {
      const T values[] = {a[i], b[i]};
      y[i] = Formula::eval(values, p, q);
    }
  } else if constexpr (Formula::arity == 3) {
    const T* b = static_cast<const T*>(in[1]);
    const T* c = static_cast<const T*>(in[2]);
    for (int64_t i = 0; i < n; ++i) {
      const T values[] = {a[i], b[i], c[i]};
      y[i] = Formula::eval(values, p, q);
    }
  } else {
    static_assert(Formula::arity == 4);
    const T* b = static_cast<const T*>(in[1]);
    const T* c = static_cast<const T*>(in[2]);
    const T* d = static_cast<const T*>(in[3]);
    for (int64_t i = 0; i < n; ++i) {
      const T values[] = {a[i], b[i], c[i], d[i]};
      y[i] = Formula::eval(values, p, q);
    }
  }
}

const PointwiseKernel kKernels[] = {
#define KERNEL(name, Formula) {name, Formula::arity, loop<Formula, float>, loop<Formula, double>},
#include "core/ops/pointwise_each.inc"
    {nullptr, 0, nullptr, nullptr}};

}  // namespace

const PointwiseKernel* pointwise_kernels() { return kKernels; }

}  // namespace slope::cpu::SLOPE_ISA
