// Storage: a block of device memory with an identity and a version, taken from a caching pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/backend.h"

namespace slope {

struct MemoryStatistics {
  size_t live_bytes = 0;    // held by tensors now
  size_t cached_bytes = 0;  // freed, kept for reuse
  size_t peak_bytes = 0;    // largest live_bytes + cached_bytes so far
  int64_t allocations = 0;  // calls to Backend::allocate
  int64_t requests = 0;     // storages handed out
};

// Freed blocks are kept and handed out again, best fit, if at most twice too large. Thread-safe. A
// plan owns a pool of its own, so that its buffers never leave it.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(Device device) : device_(device) {}
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Device device() const { return device_; }
  void* take(size_t bytes, size_t* capacity);
  void give(void* memory, size_t capacity);
  void clear_cache();
  MemoryStatistics statistics() const;
  void reset_peak();

 private:
  const Device device_;
  mutable std::mutex mutex_;
  std::multimap<size_t, void*> free_;  // capacity -> block
  MemoryStatistics statistics_;
};

// The pool of a device that outlives everything.
Pool& device_pool(Device device);
MemoryStatistics memory_statistics(Device device);
// Gives cached memory back to the device.
void clear_cache(Device device);

class Storage : public StorageIdentity {
 public:
  // From the innermost PoolScope of this thread, if it is for the same device, else from the
  // device's pool.
  Storage(Device device, size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Device device() const { return device_; }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const Pool* pool() const { return pool_.get(); }
  // What messages call it, e.g. the dotted path of a parameter.
  const std::string& label() const { return label_; }
  void set_label(std::string label) { label_ = std::move(label); }

 private:
  friend class CapturedStorage;
  Device device_;
  std::shared_ptr<Pool> pool_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  size_t capacity_ = 0;
  std::string label_;
  std::atomic<long> captures_ = 0;
};

// A plan's handle on memory that it uses but does not own, say, a weight. Handles of this kind are
// counted, so that a plan can tell when only plans are left.
class CapturedStorage {
 public:
  explicit CapturedStorage(std::shared_ptr<Storage> storage) : storage_(std::move(storage)) {
    ++storage_->captures_;
  }
  ~CapturedStorage() {
    if (storage_) --storage_->captures_;
  }
  CapturedStorage(CapturedStorage&&) = default;
  CapturedStorage& operator=(CapturedStorage&&) = delete;
  const std::string& label() const { return storage_->label(); }
  // No tensor has this memory any more.
  bool abandoned() const { return storage_.use_count() <= storage_->captures_; }

 private:
  std::shared_ptr<Storage> storage_;
};

// Storages made on this thread come from `pool` until the end of the scope; null: from the device's
// own pool again.
class PoolScope {
 public:
  explicit PoolScope(std::shared_ptr<Pool> pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

 private:
  std::shared_ptr<Pool> previous_;
};

}  // namespace slope
