// The entry points of cuBLAS that the backend uses: plain loops, queued like kernels. Sums in
// double, rounded once.
#include <cublas_v2.h>

#include "tests/cuda_emulation/device_on_host.h"
#include "tests/cuda_emulation/emulator.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
};

namespace {

using slope::cuda::emulation::enqueue;
using slope::cuda::emulation::is_capturing;
using slope::cuda::emulation::is_device_memory;
using slope::cuda::emulation::violation;

struct Product {
  bool transpose_a, transpose_b;
  int m, n, k, lead_a, lead_b, lead_c, count;
  long long step_a, step_b, step_c;
};

// Column-major, as cuBLAS counts.
template <typename T>
void multiply(const Product& p, double alpha, const T* a, const T* b, double beta, T* c) {
  for (int i = 0; i < p.count; ++i, a += p.step_a, b += p.step_b, c += p.step_c) {
    for (int column = 0; column < p.n; ++column) {
      for (int row = 0; row < p.m; ++row) {
        double sum = 0;
        for (int k = 0; k < p.k; ++k) {
          const int64_t at_a =
              p.transpose_a ? int64_t{row} * p.lead_a + k : int64_t{k} * p.lead_a + row;
          const int64_t at_b =
              p.transpose_b ? int64_t{k} * p.lead_b + column : int64_t{column} * p.lead_b + k;
          sum += static_cast<double>(a[at_a]) * static_cast<double>(b[at_b]);
        }
        T& to = c[int64_t{column} * p.lead_c + row];
        // What c holds is not read when beta is 0.
        to = static_cast<T>(alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(to)));
      }
    }
  }
}

template <typename T>
cublasStatus_t queue(cublasHandle_t handle, const Product& p, const void* alpha, const void* a,
                     const void* b, const void* beta, void* c) {
  const double scale = static_cast<double>(*static_cast<const T*>(alpha));
  const double keep = static_cast<double>(*static_cast<const T*>(beta));
  const cudaError_t status = enqueue(handle->stream, "cuBLAS", [=] {
    multiply(p, scale, static_cast<const T*>(a), static_cast<const T*>(b), keep,
             static_cast<T*>(c));
  });
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  handle->workspace = nullptr;  // as in cuBLAS: a new stream forgets it
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, size_t) {
  if (!is_device_memory(workspace)) return CUBLAS_STATUS_INVALID_VALUE;
  handle->workspace = workspace;
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusName(cublasStatus_t) { return "an emulated status"; }
const char* cublasGetStatusString(cublasStatus_t) { return "refused by the emulation"; }

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t of_a,
                                          cublasOperation_t of_b, int m, int n, int k,
                                          const void* alpha, const void* a, cudaDataType type_a,
                                          int lead_a, long long step_a, const void* b,
                                          cudaDataType type_b, int lead_b, long long step_b,
                                          const void* beta, void* c, cudaDataType type_c,
                                          int lead_c, long long step_c, int count,
                                          cublasComputeType_t compute, cublasGemmAlgo_t) {
  const bool transpose_a = of_a != CUBLAS_OP_N, transpose_b = of_b != CUBLAS_OP_N;
  if (m < 0 || n < 0 || k < 0 || count < 0 || lead_a < (transpose_a ? k : m) ||
      lead_b < (transpose_b ? n : k) || lead_c < m || lead_a < 1 || lead_b < 1 || lead_c < 1) {
    violation("cublasGemmStridedBatchedEx: sizes that do not fit");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!is_device_memory(a) || !is_device_memory(b) || !is_device_memory(c)) {
    violation("cublasGemmStridedBatchedEx: a matrix that is not on the device");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (is_capturing(handle->stream) && !handle->workspace) {
    violation("cublasGemmStridedBatchedEx: captured without a workspace of its own");
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  const Product p{transpose_a, transpose_b, m,     n,      k,      lead_a,
                  lead_b,      lead_c,      count, step_a, step_b, step_c};
  const bool one_type = type_a == type_b && type_b == type_c;
  if (one_type && type_a == CUDA_R_32F && compute == CUBLAS_COMPUTE_32F_PEDANTIC) {
    return queue<float>(handle, p, alpha, a, b, beta, c);
  }
  if (one_type && type_a == CUDA_R_64F && compute == CUBLAS_COMPUTE_64F_PEDANTIC) {
    return queue<double>(handle, p, alpha, a, b, beta, c);
  }
  violation("cublasGemmStridedBatchedEx: types or a precision that slope does not ask for");
  return CUBLAS_STATUS_NOT_SUPPORTED;
}
