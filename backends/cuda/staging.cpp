#include "backends/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace slope::cuda {

namespace {
constexpr const char* kIn = "copy to the device";
constexpr const char* kOut = "copy from the device";
}  // namespace

Staging::Staging(cudaStream_t work) : work_(work) {
  check(cudaStreamCreateWithFlags(&transfers_, cudaStreamNonBlocking), kIn);
  for (Block& block : blocks_) {
    check(cudaMallocHost(&block.pinned, kBlockBytes), "copy to the device: pinned memory");
    check(cudaMallocAsync(&block.device, kBlockBytes, work_), kIn);
    check(cudaEventCreateWithFlags(&block.sent, cudaEventDisableTiming), kIn);
    check(cudaEventCreateWithFlags(&block.taken, cudaEventDisableTiming), kIn);
    check(cudaEventRecord(block.taken, work_), kIn);  // memory is there in the order of its stream
  }
}

Staging::Block& Staging::next_block() {
  Block& block = blocks_[next_++ % blocks_.size()];
  check(cudaEventSynchronize(block.sent), kIn);  // at once where nothing was sent yet
  return block;
}

void Staging::to_device(void* to, const void* host, size_t bytes) {
  if (bytes <= kFewBytes) {
    Block& block = next_block();
    std::memcpy(block.pinned, host, bytes);
    check(cudaMemcpyAsync(to, block.pinned, bytes, cudaMemcpyHostToDevice, work_), kIn);
    check(cudaEventRecord(block.sent, work_), kIn);
    return;
  }
  for (size_t done = 0; done < bytes; done += kBlockBytes) {
    const size_t now = std::min(kBlockBytes, bytes - done);
    Block& block = next_block();
    std::memcpy(block.pinned, static_cast<const char*>(host) + done, now);
    check(cudaStreamWaitEvent(transfers_, block.taken), kIn);
    check(cudaMemcpyAsync(block.device, block.pinned, now, cudaMemcpyHostToDevice, transfers_),
          kIn);
    check(cudaEventRecord(block.sent, transfers_), kIn);
    check(cudaStreamWaitEvent(work_, block.sent), kIn);
    check(cudaMemcpyAsync(static_cast<char*>(to) + done, block.device, now,
                          cudaMemcpyDeviceToDevice, work_),
          kIn);
    check(cudaEventRecord(block.taken, work_), kIn);
  }
}

void Staging::to_host(void* host, const void* from, size_t bytes) {
  // What does not fit one block goes directly: the driver has a faster ring of its own.
  const bool direct = bytes > kBlockBytes;
  void* to = direct ? host : next_block().pinned;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, work_), kOut);
  check(cudaStreamSynchronize(work_), kOut);
  if (!direct) std::memcpy(host, to, bytes);
}

}  // namespace slope::cuda
