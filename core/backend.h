// Backend: what a device has to offer, and the contract of its kernels. To write one, copy
// backends/reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace slope {

struct Call;
class Program;

// Says whether a block of memory still holds what it held before. Ids are never used twice; the
// version moves with every write into the block (inside a plan: with every run).
class StorageIdentity {
 public:
  explicit StorageIdentity(uint64_t id) : id_(id) {}
  uint64_t id() const { return id_; }
  uint64_t version() const { return version_; }
  void bump_version() { ++version_; }

 private:
  uint64_t id_;
  uint64_t version_ = 0;
};

// One argument of a running kernel; both null for an optional input that is left out. A kernel may
// keep a packed copy of an argument (weights), keyed by data, storage->id() and storage->version().
struct Argument {
  void* data = nullptr;
  const StorageIdentity* storage = nullptr;
};

// A call made ready to run: the home of descriptors, chosen algorithms and packed weights.
//
// The contract, which makes every kernel capturable in a plan:
//   1. Shapes, dtypes and devices are checked before prepare(); outputs are allocated, contiguous,
//   64-byte aligned.
//   2. run() writes every element of every output. What it finds there is undefined.
//   3. run() reads nothing on the host that lives on the device, and does not wait.
//   4. run() allocates nothing: what it needs is scratch_bytes(), given on every call.
//   5. The same inputs give the same bits on every run, for any number of threads.
//   6. Strides, if the op accepts strided inputs (Op::strided), are those of the Call given to
//   prepare(). Every other
//      op gets contiguous inputs.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual size_t scratch_bytes() const { return 0; }
  // arguments: the inputs of the call, then all its outputs (hidden ones included).
  virtual void run(const Argument* arguments, void* scratch) = 0;
};

// A program made into something the device can run as a whole, e.g. a CUDA graph.
class Replay {
 public:
  virtual ~Replay() = default;
  virtual void run() = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "cpu", "cuda:0"
  virtual void* allocate(
      size_t bytes) = 0;  // 64-byte aligned; storage caches above it; null: out of memory
  virtual void release(void* memory) = 0;
  virtual void copy_in(void* to, const void* host, size_t bytes) = 0;
  virtual void copy_out(void* host, const void* from,
                        size_t bytes) = 0;  // waits for all work before it
  // Null: no kernel for this op, these dtypes or these shapes. The op's decomposition is used, else
  // a clear error.
  virtual std::unique_ptr<Prepared> prepare(const Call& call) = 0;
  virtual void synchronize() = 0;
  virtual std::unique_ptr<Replay> replay(const Program&) { return nullptr; }
};

// All backends this build has, in the order of preference; the first is the default device.
// Defined in backends/backends.cpp: the one line that a new backend adds.
std::vector<std::unique_ptr<Backend>> make_backends();

// A device is a backend by another name; cheap to copy and compare.
class Device {
 public:
  Device() = default;
  explicit Device(Backend* backend) : backend_(backend) {}
  Backend* operator->() const { return backend_; }
  Backend& backend() const { return *backend_; }
  std::string name() const { return backend_->name(); }
  bool operator==(const Device&) const = default;
  explicit operator bool() const { return backend_ != nullptr; }

 private:
  Backend* backend_ = nullptr;
};

// By name: "cpu", "reference", "cuda" (= "cuda:0"), "cuda:1". Unknown: DeviceError that lists what
// there is.
Device device(const std::string& name);
std::vector<Device> devices();
Device default_device();
// Where tensors are made when nothing else is said, on this thread, until the end of the scope.
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  Device previous_;
};

}  // namespace slope
