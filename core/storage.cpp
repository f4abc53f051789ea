#include "core/storage.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"

namespace slope {
namespace {

thread_local std::shared_ptr<Pool> current_pool;
std::atomic<uint64_t> next_storage_id{1};

// Round up so that blocks of nearly equal tensors can stand in for one another: steps of an eighth
// of the size.
size_t rounded_capacity(size_t bytes) {
  size_t step = 64;
  while (step * 16 <= bytes) step *= 2;
  return std::max<size_t>(64, (bytes + step - 1) / step * step);
}

}  // namespace

Pool::~Pool() { clear_cache(); }

void* Pool::take(size_t bytes, size_t* capacity) {
  const std::lock_guard lock(mutex_);
  ++statistics_.requests;
  const size_t wanted = rounded_capacity(bytes);
  const auto found = free_.lower_bound(wanted);
  if (found != free_.end() && found->first <= 2 * wanted) {
    void* memory = found->second;
    *capacity = found->first;
    free_.erase(found);
    statistics_.cached_bytes -= *capacity;
    statistics_.live_bytes += *capacity;
    return memory;
  }
  void* memory = device_->allocate(wanted);
  if (!memory) {  // give back what is cached and try once more
    for (const auto& [size, block] : free_) device_->release(block);
    free_.clear();
    statistics_.cached_bytes = 0;
    memory = device_->allocate(wanted);
  }
  if (!memory) {
    throw DeviceError(
        concat("allocate: out of memory on ", device_.name(), ": wanted ", bytes,
               " bytes, live tensors hold ", statistics_.live_bytes,
               ". Use a smaller batch, or gradient checkpointed instead of through."));
  }
  ++statistics_.allocations;
  *capacity = wanted;
  statistics_.live_bytes += wanted;
  statistics_.peak_bytes =
      std::max(statistics_.peak_bytes, statistics_.live_bytes + statistics_.cached_bytes);
  return memory;
}

void Pool::give(void* memory, size_t capacity) {
  const std::lock_guard lock(mutex_);
  free_.emplace(capacity, memory);
  statistics_.live_bytes -= capacity;
  statistics_.cached_bytes += capacity;
}

void Pool::clear_cache() {
  const std::lock_guard lock(mutex_);
  for (const auto& [size, block] : free_) device_->release(block);
  free_.clear();
  statistics_.cached_bytes = 0;
}

MemoryStatistics Pool::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Pool::reset_peak() {
  const std::lock_guard lock(mutex_);
  statistics_.peak_bytes = statistics_.live_bytes + statistics_.cached_bytes;
}

MemoryStatistics memory_statistics(Device device) { return device_pool(device).statistics(); }

void clear_cache(Device device) { device_pool(device).clear_cache(); }

Storage::Storage(Device device, size_t bytes)
    : StorageIdentity(next_storage_id++), device_(device), bytes_(bytes) {
  pool_ = current_pool && current_pool->device() == device ? current_pool
                                                           : device_pool(device).shared_from_this();
  data_ = pool_->take(bytes, &capacity_);
}

Storage::~Storage() { pool_->give(data_, capacity_); }

PoolScope::PoolScope(std::shared_ptr<Pool> pool) : previous_(std::move(current_pool)) {
  current_pool = std::move(pool);
}

PoolScope::~PoolScope() { current_pool = std::move(previous_); }

}  // namespace slope
