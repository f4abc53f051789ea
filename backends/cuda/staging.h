// Pinned host memory through which values reach the device and come back.
#pragma once

#include <array>
#include <cstddef>

#include "backends/cuda/api.h"

namespace slope::cuda {

// A ring of blocks, each pinned host memory with its counterpart on the device. Values for the
// device are copied into the next block and sent from there on a stream of their own, beside the
// kernels that are under way; then the work's stream waits for them and copies them, at the speed
// of the device's memory, to where they belong. So a batch of data is on the device before the step
// that needs it begins, and the caller waits only for a block whose last transfer is under way. Few
// values take the work's own stream: one transfer, no events.
class Staging {
 public:
  // Copies in the order of the work on this stream.
  explicit Staging(cudaStream_t work);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void to_device(void* to, const void* host, size_t bytes);
  void to_host(void* host, const void* from, size_t bytes);  // waits for all work before it

 private:
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  static constexpr size_t kFewBytes = size_t{1} << 14;
  struct Block {
    void* pinned = nullptr;
    void* device = nullptr;
    cudaEvent_t sent = nullptr;   // the pinned memory is free again
    cudaEvent_t taken = nullptr;  // the device's memory is free again
  };
  Block& next_block();

  cudaStream_t work_;
  cudaStream_t transfers_ = nullptr;
  std::array<Block, 4> blocks_;
  size_t next_ = 0;
};

}  // namespace slope::cuda
