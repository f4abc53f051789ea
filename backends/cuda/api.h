// The only door to CUDA: its headers, the words that kernels are written in, and the launch.
//
// Every source of this folder compiles three ways: by nvcc; as plain C++ against NVIDIA's headers,
// for the host's part; and as plain C++ with SLOPE_CUDA_EMULATION, where tests/cuda_emulation
// stands for the device. What follows for kernels:
//   - they are __global__ functions whose arguments are trivially copyable, launched by launch();
//   - shared memory only by SLOPE_SHARED, vector loads only by load4 and store4;
//   - every thread of a block reaches every SLOPE_BARRIER and every shuffle: no early return;
//   - no atomics, no __constant__, no PTX, no half.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <cstdint>

#ifdef SLOPE_CUDA_EMULATION
#include <device_on_host.h>
#endif

#ifdef __CUDACC__
#define SLOPE_DEVICE __device__ __forceinline__
// name: an array of `count` values of T that the threads of a block share; undefined at first.
#define SLOPE_SHARED(T, name, count) __shared__ T name[count]
#define SLOPE_BARRIER() __syncthreads()
#else
#define SLOPE_DEVICE inline
#endif

namespace slope::cuda {

// Throw DeviceError: which op, what CUDA (cuBLAS, cuDNN) says, and what to try.
void check(cudaError_t status, const char* op);
void check(cublasStatus_t status, const char* op);
void check(cudnnStatus_t status, const char* op);

// Where a kernel runs, and for whom.
struct Launcher {
  cudaStream_t stream = nullptr;
  const char* op = "";
};

constexpr int kThreads = 256;  // of a block, in nearly every kernel
constexpr int kWarp = 32;
constexpr unsigned kFullMask = 0xffffffffu;

struct Grid {
  unsigned x = 1, y = 1;
  unsigned threads = kThreads;
};
// Enough blocks for one thread per item, and no more than fill a large GPU several times over:
// kernels loop with a stride of the whole grid.
inline Grid grid_for(int64_t items) {
  constexpr int64_t kMostBlocks = 8192;
  const int64_t blocks = (items + kThreads - 1) / kThreads;
  return {static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks)};
}

// Queues kernel(arguments...). A grid without blocks is nothing to do.
template <typename... Parameters, typename... Arguments>
void launch(const Launcher& at, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid.x, grid.y, 1);
  config.blockDim = dim3(grid.threads, 1, 1);
  config.stream = at.stream;
#ifdef SLOPE_CUDA_EMULATION
  emulation::announce_kernel(at.op, kernel, static_cast<Parameters>(arguments)...);
#endif
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), at.op);
}

#if defined(__CUDACC__) || defined(SLOPE_CUDA_EMULATION)

// Four values that travel together.
template <typename T>
struct alignas(16) Four {
  T value[4];
};

// from, to: 16-byte aligned
template <typename T>
SLOPE_DEVICE Four<T> load4(const T* from) {
#ifdef __CUDACC__
  return *reinterpret_cast<const Four<T>*>(from);
#else
  return emulation::load_aligned<Four<T>>(from);
#endif
}
template <typename T>
SLOPE_DEVICE void store4(T* to, const Four<T>& four) {
#ifdef __CUDACC__
  *reinterpret_cast<Four<T>*>(to) = four;
#else
  emulation::store_aligned(to, four);
#endif
}

// This thread's number in the whole grid, and how many there are (one-dimensional blocks).
SLOPE_DEVICE int64_t thread_of_grid() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
SLOPE_DEVICE int64_t threads_of_grid() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

#endif

}  // namespace slope::cuda
