#include "tests/cuda_emulation/memory.h"

#include <sys/mman.h>

#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) \
  (static_cast<void>(memory), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) \
  (static_cast<void>(memory), static_cast<void>(bytes))
#endif

namespace slope::cuda::emulation {
namespace {

constexpr size_t kRegionBytes = size_t{1} << 30;
constexpr size_t kAlignment = 256;
constexpr size_t kGap = 256;

size_t with_gap(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment + kGap; }

}  // namespace

Memory& Memory::instance() {
  static Memory& memory = *new Memory;  // tensors in static variables may outlive it otherwise
  return memory;
}

Memory::Memory() : bound_(kRegionBytes) {
  void* region =
      mmap(nullptr, kRegionBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  region_ = static_cast<char*>(region);
  ASAN_POISON_MEMORY_REGION(region_, kRegionBytes);
}

void* Memory::take(size_t bytes) {
  const size_t size = with_gap(bytes);
  if (used_ + bytes > bound_) return nullptr;
  size_t offset = kGap;
  for (const auto& [start, length] : blocks_) {  // the first hole that is large enough
    if (start >= offset + size) break;
    offset = start + with_gap(length);
  }
  if (offset + size > kRegionBytes) return nullptr;
  blocks_[offset] = bytes;
  used_ += bytes;
  return region_ + offset;
}

bool Memory::give(const void* memory) {
  const auto found = blocks_.find(static_cast<size_t>(static_cast<const char*>(memory) - region_));
  if (!contains(memory) || found == blocks_.end()) return false;
  used_ -= found->second;
  blocks_.erase(found);
  return true;
}

bool Memory::contains(const void* memory) const {
  const char* at = static_cast<const char*>(memory);
  return at >= region_ && at < region_ + kRegionBytes;
}

std::pair<const void*, size_t> Memory::block_around(const void* memory) const {
  if (!contains(memory)) return {nullptr, 0};
  const size_t at = static_cast<size_t>(static_cast<const char*>(memory) - region_);
  auto found = blocks_.upper_bound(at);
  if (found == blocks_.begin()) return {nullptr, 0};
  --found;
  if (at > found->first + found->second) return {nullptr, 0};
  return {region_ + found->first, found->second};
}

void Memory::open(const void* memory, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(memory, bytes); }
void Memory::close(const void* memory, size_t bytes) { ASAN_POISON_MEMORY_REGION(memory, bytes); }
void Memory::poison(void* memory, size_t bytes) { std::memset(memory, 0xff, bytes); }

void Memory::protect(int protection) { mprotect(region_, kRegionBytes, protection); }

Memory::Access::Access() {
  Memory& memory = instance();
  if (memory.accesses_++ == 0) memory.protect(PROT_READ | PROT_WRITE);
}
Memory::Access::~Access() {
  Memory& memory = instance();
  if (--memory.accesses_ == 0) memory.protect(PROT_NONE);
}

bool is_device_memory(const void* memory) { return Memory::instance().contains(memory); }

}  // namespace slope::cuda::emulation
