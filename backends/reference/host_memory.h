// Device memory that is host memory: what the reference and cpu backends share.
#pragma once

#include <cstdlib>
#include <cstring>

#include "core/backend.h"

namespace slope {

class HostBackend : public Backend {
 public:
  void* allocate(size_t bytes) override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void release(void* memory) override { std::free(memory); }
  void copy_in(void* to, const void* host, size_t bytes) override { std::memcpy(to, host, bytes); }
  void copy_out(void* host, const void* from, size_t bytes) override {
    std::memcpy(host, from, bytes);
  }
  void synchronize() override {}
};

}  // namespace slope
