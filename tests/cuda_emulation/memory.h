// Device memory: one region of the address space that host code cannot touch.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include "tests/cuda_emulation/emulator.h"

namespace slope::cuda::emulation {

// Blocks of 256-byte aligned memory with gaps between them that belong to nobody. Outside of an
// Access the whole region is closed to loads and stores; inside of one, gaps and freed blocks are
// closed to code built with the address sanitizer.
class Memory {
 public:
  static Memory& instance();

  void* take(size_t bytes);       // null: the bound is reached
  bool give(const void* memory);  // false: not the start of a block
  bool contains(const void* memory) const;
  const void* begin() const { return region_; }
  // Start and size of the block around an address; size 0: none.
  std::pair<const void*, size_t> block_around(const void* memory) const;
  void set_bound(size_t bytes) { bound_ = bytes; }
  size_t used() const { return used_; }

  // These need an Access.
  static void open(const void* memory, size_t bytes);  // to the sanitizer
  static void close(const void* memory, size_t bytes);
  static void poison(void* memory, size_t bytes);  // with NaN

  // The region is open while one lives.
  class Access {
   public:
    Access();
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
  };

 private:
  Memory();
  void protect(int protection);

  char* region_ = nullptr;
  size_t bound_;
  size_t used_ = 0;
  std::map<size_t, size_t> blocks_;  // offset -> bytes
  int accesses_ = 0;
};

}  // namespace slope::cuda::emulation
