// Pinned host memory through which values reach the device and come back.
#pragma once

#include <array>
#include <cstddef>

#include "backends/cuda/api.h"

namespace slope::cuda {

// A ring of pinned blocks. Values for the device are copied into the next block and sent from
// there, so the caller goes on at once: it waits only for a block whose last transfer is under way.
class Staging {
 public:
  explicit Staging(cudaStream_t stream) : stream_(stream) {}
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void to_device(void* to, const void* host, size_t bytes);
  void to_host(void* host, const void* from, size_t bytes);  // waits for all work before it

 private:
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  struct Block {
    void* memory = nullptr;
    cudaEvent_t sent = nullptr;
  };
  Block& next_block();

  cudaStream_t stream_;
  std::array<Block, 4> blocks_;
  size_t next_ = 0;
};

}  // namespace slope::cuda
