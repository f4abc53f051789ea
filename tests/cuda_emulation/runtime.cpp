// The CUDA runtime's entry points that the backend uses: streams are queues that run when the host
// waits, a captured graph is a queue that is kept.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/memory.h"

namespace slope::cuda::emulation {
namespace {

// One piece of queued work.
struct Work {
  const char* what;
  std::function<void()> run;
  std::vector<Extent> extents;  // empty: it may touch every block
};

}  // namespace
}  // namespace slope::cuda::emulation

// The types that NVIDIA's headers only name.
struct CUgraph_st {
  std::vector<slope::cuda::emulation::Work> nodes;
};
struct CUgraphExec_st {
  std::vector<slope::cuda::emulation::Work> nodes;
};
// How far each stream has come where a piece of work begins: what is known to be finished then.
using Progress = std::map<cudaStream_t, int64_t>;
struct CUstream_st {
  std::deque<slope::cuda::emulation::Work> queue;
  int64_t queued = 0, finished = 0;  // pieces of work so far
  Progress waited_for;               // by what is queued next
  std::unique_ptr<CUgraph_st> capture;
  bool capture_failed = false;
};
struct CUevent_st {
  cudaStream_t stream = nullptr;
  int64_t after = 0;    // work of that stream
  Progress waited_for;  // by that work
};

namespace slope::cuda::emulation {
namespace {

struct Emulator {
  bool descending = false;
  cudaError_t device_status = cudaSuccess;
  int device_count = 1;
  int driver_version = CUDART_VERSION;
  cudaError_t last_error = cudaSuccess;
  Counters counters;
  uint64_t hash = 14695981039346656037u;
  std::vector<std::string> violations;
  std::vector<Extent> extents;  // of the scope that is open
  Kernel announced;
  std::function<void(const char*, bool)> observer;
  std::map<const void*, size_t> pinned;
  std::vector<cudaStream_t> streams;
  // The last work on each block: its stream and number.
  std::map<const void*, std::pair<cudaStream_t, int64_t>> last_use;
};
Emulator& emulator() {
  static Emulator& e = *new Emulator;
  return e;
}

cudaError_t failed(cudaError_t status) {
  if (status != cudaSuccess) emulator().last_error = status;
  return status;
}

using Blocks = std::map<const void*, size_t>;
Blocks blocks_of(const std::vector<Extent>& extents) {
  Blocks blocks;
  for (const Extent& extent : extents) {
    const auto [begin, bytes] = Memory::instance().block_around(extent.begin);
    if (begin && extent.bytes > 0) blocks[begin] = bytes;
  }
  return blocks;
}

void run(const Work& work) {
  const Blocks blocks = blocks_of(work.extents);
  for (const auto& [begin, bytes] : blocks) Memory::close(begin, bytes);
  for (const Extent& extent : work.extents) Memory::open(extent.begin, extent.bytes);
  work.run();
  for (const auto& [begin, bytes] : blocks) Memory::open(begin, bytes);
}

// Runs a stream's work up to and with piece number `last`.
void run_until(cudaStream_t stream, int64_t last) {
  if (stream->finished >= last) return;
  const Memory::Access access;
  while (stream->finished < last) {
    const Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    run(work);
    ++stream->finished;
  }
}

// Whether this piece of another stream's work is finished where this stream's next piece begins.
bool comes_after(cudaStream_t stream, cudaStream_t other, int64_t number) {
  const auto found = stream->waited_for.find(other);
  return other->finished >= number ||
         (found != stream->waited_for.end() && found->second >= number);
}

// A block whose last work is under way on another stream must not be touched.
void check_stream_order(cudaStream_t stream, const Work& work) {
  for (const auto& [begin, bytes] : blocks_of(work.extents)) {
    const auto [used_on, number] = emulator().last_use[begin];
    if (used_on && used_on != stream && !comes_after(stream, used_on, number)) {
      violation(std::string(work.what) + ": touches memory whose last use waits on another stream");
    }
    emulator().last_use[begin] = {stream, stream->queued + 1};
  }
}

// Whether another stream has work queued that this stream's next piece need not wait for.
bool waits_for_less_than_all(cudaStream_t stream) {
  return std::any_of(emulator().streams.begin(), emulator().streams.end(), [&](cudaStream_t other) {
    return other != stream && !comes_after(stream, other, other->queued);
  });
}

cudaError_t push(cudaStream_t stream, Work work) {
  if (!stream) {
    violation(std::string(work.what) + ": queued on the legacy stream");
    return failed(cudaErrorInvalidResourceHandle);
  }
  if (stream->capture) {
    stream->capture->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  check_stream_order(stream, work);
  ++stream->queued;
  stream->queue.push_back(std::move(work));
  return cudaSuccess;
}

// What must not happen while any stream captures: the capture is lost.
bool refused_by_capture(const char* what) {
  bool refused = false;
  for (const cudaStream_t stream : emulator().streams) {
    if (!stream->capture) continue;
    stream->capture_failed = true;
    refused = true;
  }
  if (refused) violation(std::string(what) + " while a stream captures");
  return refused;
}

bool is_pinned(const void* memory) {
  auto found = emulator().pinned.upper_bound(memory);
  if (found == emulator().pinned.begin()) return false;
  --found;
  return static_cast<const char*>(memory) < static_cast<const char*>(found->first) + found->second;
}

void add_to_hash(const void* memory, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < bytes; ++i) {
    emulator().hash = (emulator().hash ^ at[i]) * 1099511628211u;  // FNV-1a
  }
}

}  // namespace

void violation(const std::string& what) {
  constexpr size_t kMost = 1000;
  if (emulator().violations.size() < kMost) emulator().violations.push_back(what);
}

void set_descending(bool descending) { emulator().descending = descending; }
void set_devices(cudaError_t status, int count, int driver_version) {
  emulator().device_status = status;
  emulator().device_count = count;
  emulator().driver_version = driver_version;
}
void set_memory_bound(size_t bytes) { Memory::instance().set_bound(bytes); }
void observe_kernels(std::function<void(const char*, bool)> observer) {
  emulator().observer = std::move(observer);
}
const void* device_memory() { return Memory::instance().begin(); }
size_t memory_in_use() { return Memory::instance().used(); }
Counters counters() { return emulator().counters; }
uint64_t take_hash() { return std::exchange(emulator().hash, 14695981039346656037u); }
std::vector<std::string> take_violations() { return std::exchange(emulator().violations, {}); }

ExtentScope::ExtentScope(std::vector<Extent> extents) {
  emulator().extents = std::move(extents);
  if (emulator().streams.empty()) return;
  std::vector<Extent> undefined;
  for (const Extent& e : emulator().extents) {
    if (e.undefined) undefined.push_back(e);
  }
  if (undefined.empty()) return;
  enqueue(emulator().streams.front(), "undefined results", [undefined] {
    for (const Extent& e : undefined) Memory::poison(const_cast<void*>(e.begin), e.bytes);
  });
}
ExtentScope::~ExtentScope() { emulator().extents.clear(); }

cudaError_t enqueue(cudaStream_t stream, const char* what, std::function<void()> work) {
  return push(stream, {what, std::move(work), emulator().extents});
}

bool is_capturing(cudaStream_t stream) { return stream && stream->capture; }

void announce(Kernel kernel) { emulator().announced = std::move(kernel); }

}  // namespace slope::cuda::emulation

using namespace slope::cuda::emulation;  // NOLINT: the definitions below are global by nature

// ---- errors and devices
// ---------------------------------------------------------------------------

const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "an emulated error";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "refused by the emulation";
}
cudaError_t cudaGetLastError() { return std::exchange(emulator().last_error, cudaSuccess); }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulator().device_status == cudaSuccess ? emulator().device_count : 0;
  return failed(emulator().device_status);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulator().driver_version;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return failed(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= emulator().device_count) return failed(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->totalGlobalMem = size_t{1} << 30;
  properties->major = 9;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  if (attribute != cudaDevAttrMemoryPoolsSupported) return failed(cudaErrorInvalidValue);
  *value = 1;
  return cudaSuccess;
}

// ---- memory
// ---------------------------------------------------------------------------------------

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream) {
  if (refused_by_capture("cudaMallocAsync")) return failed(cudaErrorStreamCaptureUnsupported);
  void* block = Memory::instance().take(bytes);
  if (!block) return failed(cudaErrorMemoryAllocation);
  ++emulator().counters.allocations;
  *memory = block;
  // Large blocks (the workspace of cuBLAS) stay as they are: opening and closing used pages costs
  // time.
  const size_t filled = bytes > size_t{8} << 20 ? 0 : bytes;
  return push(stream, {"fresh memory",
                       [=] {
                         Memory::open(block, bytes);
                         Memory::poison(block, filled);
                       },
                       {}});
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (refused_by_capture("cudaFreeAsync")) return failed(cudaErrorStreamCaptureUnsupported);
  if (!memory) return cudaSuccess;
  const auto [begin, bytes] = Memory::instance().block_around(memory);
  if (!Memory::instance().give(memory)) {
    violation("cudaFreeAsync: not a block of device memory");
    return failed(cudaErrorInvalidValue);
  }
  return push(
      stream,
      {"freed memory", [begin = begin, bytes = bytes] { Memory::close(begin, bytes); }, {}});
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  if (refused_by_capture("cudaMallocHost")) return failed(cudaErrorStreamCaptureUnsupported);
  *memory = std::malloc(bytes);
  emulator().pinned[*memory] = bytes;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool in = kind == cudaMemcpyHostToDevice, out = kind == cudaMemcpyDeviceToHost;
  const bool within = kind == cudaMemcpyDeviceToDevice;
  if (in + out + within != 1 || is_device_memory(to) != !out || is_device_memory(from) != !in) {
    violation("cudaMemcpyAsync: the kind is not what the addresses are");
    return failed(cudaErrorInvalidMemcpyDirection);
  }
  // Copies outside of a kernel's run touch their own bytes.
  std::vector<Extent> extents = emulator().extents;
  if (extents.empty()) {
    if (!out) extents.push_back({to, bytes});
    if (!in) extents.push_back({from, bytes});
  }
  if (within) {
    return push(stream, {"copy", [=] { std::memcpy(to, from, bytes); }, extents});
  }
  if (is_capturing(stream)) {
    refused_by_capture("a copy between host and device");
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  ++(in ? emulator().counters.host_writes : emulator().counters.host_reads);
  if (out) emulator().counters.bytes_read += static_cast<int64_t>(bytes);
  if (in && stream && is_pinned(from) && waits_for_less_than_all(stream)) {
    ++emulator().counters.writes_beside_work;
  }
  if (in && !is_pinned(from)) {  // read before the call returns
    std::vector<char> now(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    return push(stream,
                {"copy in", [now, to] { std::memcpy(to, now.data(), now.size()); }, extents});
  }
  const cudaError_t status = push(stream, {"copy",
                                           [=] {
                                             std::memcpy(to, from, bytes);
                                             if (out) add_to_hash(from, bytes);
                                           },
                                           extents});
  if (out && !is_pinned(to)) run_until(stream, stream->queued);
  return status;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return enqueue(stream, "cudaMemsetAsync", [=] { std::memset(memory, value, bytes); });
}
cudaError_t cudaMemset2DAsync(void* memory, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  if (width > pitch) return failed(cudaErrorInvalidValue);
  return enqueue(stream, "cudaMemset2DAsync", [=] {
    for (size_t i = 0; i < height; ++i) {
      std::memset(static_cast<char*>(memory) + i * pitch, value, width);
    }
  });
}

// ---- streams and events
// ---------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  emulator().streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (refused_by_capture("cudaStreamSynchronize")) {
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  ++emulator().counters.waits;
  run_until(stream, stream->queued);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  event->after = stream->queued;
  event->waited_for = stream->waited_for;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (is_capturing(stream)) {
    refused_by_capture("waiting for an event of another stream");
    return failed(cudaErrorStreamCaptureIsolation);
  }
  if (!event->stream) return cudaSuccess;
  Progress known = event->waited_for;
  known[event->stream] = event->after;
  for (const auto& [other, number] : known) {
    stream->waited_for[other] = std::max(stream->waited_for[other], number);
  }
  return push(stream, {"an event of another stream",
                       [on = event->stream, after = event->after] { run_until(on, after); },
                       {}});
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event->stream) return cudaSuccess;
  if (event->stream->finished < event->after) ++emulator().counters.waits;
  run_until(event->stream, event->after);
  return cudaSuccess;
}

// ---- kernels
// --------------------------------------------------------------------------------------

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void**) {
  const Kernel kernel = std::exchange(emulator().announced, {});
  const dim3 grid = config->gridDim, block = config->blockDim;
  if (kernel.function != function) {
    violation("cudaLaunchKernelExC: a kernel that launch() did not announce");
    return failed(cudaErrorInvalidDeviceFunction);
  }
  const bool fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 &&
                    grid.z == 1 && block.x >= 1 && block.x <= 1024 && block.y == 1 && block.z == 1;
  if (!fits || kernel.argument_bytes > 4096 || config->dynamicSmemBytes != 0) {
    violation(std::string(kernel.op) + ": a launch beyond the limits of the device");
    return failed(cudaErrorInvalidConfiguration);
  }
  if (!is_capturing(config->stream)) ++emulator().counters.launches;
  return enqueue(config->stream, kernel.op, [=] {
    const auto& observer = emulator().observer;
    if (observer) observer(kernel.op, true);
    run_grid(kernel, grid, block, emulator().descending);
    if (observer) observer(kernel.op, false);
  });
}

// ---- graphs
// ---------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capture) return failed(cudaErrorIllegalState);
  stream->capture = std::make_unique<CUgraph_st>();
  stream->capture_failed = false;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream->capture) return failed(cudaErrorIllegalState);
  auto captured = std::move(stream->capture);
  if (stream->capture_failed) return failed(cudaErrorStreamCaptureInvalidated);
  *graph = captured.release();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  // Launches that are still queued have copies of the nodes.
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (is_capturing(stream)) {
    refused_by_capture("cudaGraphLaunch");
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  ++emulator().counters.graph_launches;
  for (const Work& node : exec->nodes) {
    if (const cudaError_t status = push(stream, node); status != cudaSuccess) return status;
  }
  return cudaSuccess;
}
