// The pointwise loops, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace slope::cpu {

// out[i] = formula(in[0][i], in[1][i], ..) for i in [0, n). p, q: the numbers of a parametric op.
using PointwiseLoop = void (*)(int64_t n, const void* const* in, void* out, double p, double q);

struct PointwiseKernel {
  const char* name;
  int arity;
  PointwiseLoop f32;
  PointwiseLoop f64;
};

// All of them; the list ends with a null name.
namespace generic {
const PointwiseKernel* pointwise_kernels();
}
namespace avx2 {
const PointwiseKernel* pointwise_kernels();
}
namespace avx512 {
const PointwiseKernel* pointwise_kernels();
}

}  // namespace slope::cpu
