#include "tests/cuda_emulation/checked_backend.h"

#include "core/op.h"
#include "core/plan.h"
#include "tests/cuda_emulation/emulator.h"

namespace slope::cuda::emulation {
namespace {

// Bytes from the first to the last value of a strided tensor.
size_t bytes_of(const Shape& shape, const Strides& strides, Dtype dtype) {
  if (shape.size() == 0) return 0;
  int64_t last = 0;
  for (int i = 0; i < shape.rank(); ++i) last += (shape[i] - 1) * strides[i];
  return static_cast<size_t>(last + 1) * slope::size_of(dtype);
}

class CheckedPrepared final : public Prepared {
 public:
  CheckedPrepared(const Call& call, std::unique_ptr<Prepared> kernel) : kernel_(std::move(kernel)) {
    for (int i = 0; i < call.count(); ++i) {
      const Tensor& x = call.has(i) ? call.in(i) : Tensor();
      bytes_.push_back(x.defined() ? bytes_of(x.shape(), x.strides(), x.dtype()) : 0);
    }
    inputs_ = bytes_.size();
    for (const OutSpec& spec : call.op.shape(call)) {
      bytes_.push_back(bytes_of(spec.shape, contiguous_strides(spec.shape), spec.dtype));
    }
  }
  size_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void run(const Argument* arguments, void* scratch) override {
    std::vector<Extent> extents;
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if (arguments[i].data) extents.push_back({arguments[i].data, bytes_[i], i >= inputs_});
    }
    if (scratch) extents.push_back({scratch, scratch_bytes(), true});
    const ExtentScope scope(std::move(extents));
    kernel_->run(arguments, scratch);
  }

 private:
  std::unique_ptr<Prepared> kernel_;
  std::vector<size_t> bytes_;  // of inputs and outputs
  size_t inputs_ = 0;
};

class CheckedBackend final : public Backend {
 public:
  explicit CheckedBackend(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  std::string name() const override { return backend_->name(); }
  void* allocate(size_t bytes) override { return backend_->allocate(bytes); }
  void release(void* memory) override { backend_->release(memory); }
  void copy_in(void* to, const void* host, size_t bytes) override {
    backend_->copy_in(to, host, bytes);
  }
  void copy_out(void* host, const void* from, size_t bytes) override {
    backend_->copy_out(host, from, bytes);
  }
  std::unique_ptr<Prepared> prepare(const Call& call) override {
    auto kernel = backend_->prepare(call);
    return kernel ? std::make_unique<CheckedPrepared>(call, std::move(kernel)) : nullptr;
  }
  void synchronize() override { backend_->synchronize(); }
  std::unique_ptr<Replay> replay(const Program& program) override {
    return backend_->replay(program);
  }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace

std::unique_ptr<Backend> make_checked_backend(std::unique_ptr<Backend> backend) {
  return std::make_unique<CheckedBackend>(std::move(backend));
}

}  // namespace slope::cuda::emulation
