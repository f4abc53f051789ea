// What a kernel's preparation gets to know of its device, and the table that maps ops to kernels.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "backends/cuda/api.h"
#include "core/op.h"
#include "core/prepared.h"

namespace slope::cuda {

// One device in use. Everything runs in order on one stream. Never destroyed: tensors in static
// variables may outlive it, and the driver cleans up after a process.
class Context {
 public:
  // Makes the device current for this thread, then the stream and the libraries' handles on it.
  explicit Context(int index);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const int index;
  cudaStream_t stream = nullptr;
  cublasHandle_t cublas = nullptr;  // with a workspace of its own: captures and fixed bits need it

  // Made on first use, which takes a second.
  cudnnHandle_t cudnn() const;
  Launcher launcher(const char* op) const { return {stream, op}; }
  // CUDA's current device is a property of the host's thread.
  void make_current() const;

 private:
  mutable cudnnHandle_t cudnn_ = nullptr;
};

// Null when this call's dtypes or shapes are not covered. The context outlives what is prepared.
using PrepareFunction = std::unique_ptr<Prepared> (*)(const Context&, const Call&);
using KernelTable = std::unordered_map<std::string_view, PrepareFunction>;

// All kernels of this backend; one function per family, each in the file of that name.
const KernelTable& kernels();
void add_pointwise(KernelTable& table);
void add_movement(KernelTable& table);
void add_index(KernelTable& table);
void add_reduce(KernelTable& table);
void add_contract(KernelTable& table);
void add_convolution(KernelTable& table);
void add_pooling(KernelTable& table);
void add_norm(KernelTable& table);
void add_norm_gradient(KernelTable& table);
void add_loss(KernelTable& table);
void add_solver(KernelTable& table);
void add_optimizer(KernelTable& table);
void add_random(KernelTable& table);

// The sums of most kernels are kept in double, whatever the dtype; scratch memory holds them.
inline size_t bytes_of_doubles(int64_t count) {
  return static_cast<size_t>(count) * sizeof(double);
}

}  // namespace slope::cuda
