// What a kernel's preparation gets to know of its device, and the table that maps ops to kernels.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "backends/cuda/api.h"
#include "core/backend.h"
#include "core/op.h"

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

// A prepared call made from a lambda (const Argument* arguments, void* scratch). The lambda
// captures what it needs of the call by value: shapes, strides, attributes, a Launcher.
template <typename F>
class PreparedFunction final : public Prepared {
 public:
  PreparedFunction(F run, size_t scratch) : run_(std::move(run)), scratch_(scratch) {}
  size_t scratch_bytes() const override { return scratch_; }
  void run(const Argument* arguments, void* scratch) override { run_(arguments, scratch); }

 private:
  F run_;
  size_t scratch_;
};
template <typename F>
std::unique_ptr<Prepared> prepared(F run, size_t scratch_bytes = 0) {
  return std::make_unique<PreparedFunction<F>>(std::move(run), scratch_bytes);
}

// Typed access to an argument's memory.
template <typename T>
T* data(const Argument& argument) {
  return static_cast<T*>(argument.data);
}

// The sums of most kernels are kept in double, whatever the dtype; scratch memory holds them.
inline size_t bytes_of_doubles(int64_t count) {
  return static_cast<size_t>(count) * sizeof(double);
}

}  // namespace slope::cuda
