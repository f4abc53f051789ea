// Matrix products.
#include "core/ops/contract.h"

#include <algorithm>
#include <type_traits>

#include "backends/cuda/gemm.h"
#include "backends/cuda/strided.h"

namespace slope::cuda {
namespace {

template <typename T>
__global__ void fill_rows_kernel(const T* bias, T* y, int64_t size, int64_t columns) {
  for (int64_t i = thread_of_grid(); i < size; i += threads_of_grid()) {
    y[i] = bias[static_cast<uint32_t>(i) % static_cast<uint32_t>(columns)];
  }
}

}  // namespace

template <typename T>
void fill_rows(const Launcher& at, const T* bias, T* y, int64_t rows, int64_t columns) {
  check_count(at.op, rows * columns);
  launch(at, grid_for(rows * columns), fill_rows_kernel<T>, bias, y, rows * columns, columns);
}
template void fill_rows(const Launcher&, const float*, float*, int64_t, int64_t);
template void fill_rows(const Launcher&, const double*, double*, int64_t, int64_t);

template <typename T>
void run(const Context& context, const char* op, const Gemm& g, const T* a, const T* b, T* c) {
  if (g.m == 0 || g.n == 0 || g.count == 0) return;
  if (g.k == 0) {  // a sum of nothing
    if (g.beta != 0) return;
    for (int64_t i = 0; i < g.count; ++i) {
      check(cudaMemset2DAsync(c + i * g.step_c, static_cast<size_t>(g.lead_c) * sizeof(T), 0,
                              static_cast<size_t>(g.n) * sizeof(T), static_cast<size_t>(g.m),
                              context.stream),
            op);
    }
    return;
  }
  for (const int64_t size : {g.m, g.n, g.k, g.lead_a, g.lead_b, g.lead_c, g.count}) {
    check_count(op, size);
  }
  constexpr bool wide = std::is_same_v<T, double>;
  constexpr cudaDataType type = wide ? CUDA_R_64F : CUDA_R_32F;
  const T alpha = 1, beta = static_cast<T>(g.beta);
  // A row-major matrix is its transpose to cuBLAS, and (a b)^T = b^T a^T.
  check(cublasGemmStridedBatchedEx(
            context.cublas, g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
            g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, static_cast<int>(g.n), static_cast<int>(g.m),
            static_cast<int>(g.k), &alpha, b, type, static_cast<int>(g.lead_b), g.step_b, a, type,
            static_cast<int>(g.lead_a), g.step_a, &beta, c, type, static_cast<int>(g.lead_c),
            g.step_c, static_cast<int>(g.count),
            wide ? CUBLAS_COMPUTE_64F_PEDANTIC : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT),
        op);
}
template void run(const Context&, const char*, const Gemm&, const float*, const float*, float*);
template void run(const Context&, const char*, const Gemm&, const double*, const double*, double*);

namespace {

// The last axis of the batch goes into one call to cuBLAS, what is above it into a loop.
std::unique_ptr<Prepared> prepare_matmul(const Context& context, const Call& call) {
  const auto options = call.as<MatmulOptions>();
  const MatmulSizes sizes = matmul_sizes(call.in(0).shape(), call.in(1).shape(), options);
  const Walk<2> batch = walk_over<2>(call.op.name, sizes.batch, {sizes.a_strides, sizes.b_strides});
  Gemm g{.transpose_a = options.transpose_a,
         .transpose_b = options.transpose_b,
         .m = sizes.m,
         .n = sizes.n,
         .k = sizes.k};
  g.lead_a = std::max<int64_t>(1, options.transpose_a ? sizes.m : sizes.k);
  g.lead_b = std::max<int64_t>(1, options.transpose_b ? sizes.k : sizes.n);
  g.lead_c = std::max<int64_t>(1, sizes.n);
  g.step_c = sizes.m * sizes.n;
  if (batch.rank > 0) {
    g.count = batch.lengths[batch.rank - 1];
    g.step_a = batch.strides[0][batch.rank - 1];
    g.step_b = batch.strides[1][batch.rank - 1];
  }
  const int64_t calls = g.count == 0 ? 0 : sizes.batch.size() / g.count;
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, &context, op = call.op.name](const Argument* args, void*) {
      for (int64_t i = 0; i < calls; ++i) {
        int64_t a = 0, b = 0, rest = i;
        for (int axis = batch.rank - 2; axis >= 0; --axis) {
          a += rest % batch.lengths[axis] * batch.strides[0][axis];
          b += rest % batch.lengths[axis] * batch.strides[1][axis];
          rest /= batch.lengths[axis];
        }
        run(context, op, g, data<T>(args[0]) + a, data<T>(args[1]) + b,
            data<T>(args[2]) + i * g.count * g.step_c);
      }
    });
  });
}

// x: (rows, in), w: (out, in), b: (out) or null -> y: (rows, out)
std::unique_ptr<Prepared> prepare_linear(const Context& context, const Call& call) {
  const int64_t out = call.in(1).shape()[0], in = call.in(1).shape()[1];
  const Shape& shape = call.in(0).shape();
  int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  const bool biased = call.has(2);
  const Gemm g{.transpose_b = true,
               .m = rows,
               .n = out,
               .k = in,
               .lead_a = std::max<int64_t>(1, in),
               .lead_b = std::max<int64_t>(1, in),
               .lead_c = std::max<int64_t>(1, out),
               .beta = biased ? 1.0 : 0.0};
  return dispatch_float(call.in(0).dtype(), [&]<typename T>() {
    return prepared([=, &context, op = call.op.name](const Argument* args, void*) {
      T* y = data<T>(args[3]);
      if (biased) fill_rows(context.launcher(op), data<T>(args[2]), y, rows, out);
      run(context, op, g, data<T>(args[0]), data<T>(args[1]), y);
    });
  });
}

}  // namespace

void add_contract(KernelTable& table) {
  table["matmul"] = prepare_matmul;
  table["linear"] = prepare_linear;
}

}  // namespace slope::cuda
