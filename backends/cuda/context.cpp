#include "backends/cuda/context.h"

#include "core/error.h"

namespace slope::cuda {

void check(cudaError_t status, const char* op) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that can be recovered from must not be reported twice
  throw DeviceError(concat(op, ": CUDA says ", cudaGetErrorName(status), ": ",
                           cudaGetErrorString(status),
                           ". A kernel that ran earlier may be the cause; run on device cpu to see "
                           "whether the values are to blame."));
}

void check(cublasStatus_t status, const char* op) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(concat(op, ": cuBLAS says ", cublasGetStatusName(status), ": ",
                           cublasGetStatusString(status), ". Device cpu computes it too."));
}

void check(cudnnStatus_t status, const char* op) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw DeviceError(
      concat(op, ": cuDNN says ", cudnnGetErrorString(status), ". Device cpu computes it too."));
}

Context::Context(int device) : index(device) {
  make_current();
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cuda: stream");
  check(cublasCreate(&cublas), "cuda: cuBLAS");
  check(cublasSetStream(cublas, stream), "cuda: cuBLAS");
  constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what NVIDIA recommends for Hopper
  void* workspace = nullptr;
  check(cudaMallocAsync(&workspace, kWorkspaceBytes, stream), "cuda: workspace of cuBLAS");
  check(cublasSetWorkspace(cublas, workspace, kWorkspaceBytes), "cuda: cuBLAS");
}

void Context::make_current() const { check(cudaSetDevice(index), "cuda: device"); }

cudnnHandle_t Context::cudnn() const {
  if (!cudnn_) {
    check(cudnnCreate(&cudnn_), "cuda: cuDNN");
    check(cudnnSetStream(cudnn_, stream), "cuda: cuDNN");
  }
  return cudnn_;
}

const KernelTable& kernels() {
  static const KernelTable table = [] {
    KernelTable t;
    add_pointwise(t);
    add_movement(t);
    add_index(t);
    add_reduce(t);
    add_contract(t);
    add_convolution(t);
    add_pooling(t);
    add_norm(t);
    add_norm_gradient(t);
    add_loss(t);
    add_solver(t);
    add_optimizer(t);
    add_random(t);
    return t;
  }();
  return table;
}

}  // namespace slope::cuda
