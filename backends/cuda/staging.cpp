#include "backends/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace slope::cuda {

Staging::Block& Staging::next_block() {
  Block& block = blocks_[next_++ % blocks_.size()];
  if (!block.memory) {
    check(cudaMallocHost(&block.memory, kBlockBytes), "copy to the device: pinned memory");
    check(cudaEventCreateWithFlags(&block.sent, cudaEventDisableTiming), "copy to the device");
  } else {
    check(cudaEventSynchronize(block.sent), "copy to the device");
  }
  return block;
}

void Staging::to_device(void* to, const void* host, size_t bytes) {
  for (size_t done = 0; done < bytes; done += kBlockBytes) {
    const size_t now = std::min(kBlockBytes, bytes - done);
    Block& block = next_block();
    std::memcpy(block.memory, static_cast<const char*>(host) + done, now);
    check(cudaMemcpyAsync(static_cast<char*>(to) + done, block.memory, now, cudaMemcpyHostToDevice,
                          stream_),
          "copy to the device");
    check(cudaEventRecord(block.sent, stream_), "copy to the device");
  }
}

void Staging::to_host(void* host, const void* from, size_t bytes) {
  // What does not fit one block goes directly: the driver has a faster ring of its own.
  const bool direct = bytes > kBlockBytes;
  void* to = direct ? host : next_block().memory;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
  check(cudaStreamSynchronize(stream_), "copy from the device");
  if (!direct) std::memcpy(host, to, bytes);
}

}  // namespace slope::cuda
