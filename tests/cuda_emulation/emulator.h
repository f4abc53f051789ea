// The emulated device as tests see it: its settings, its counters, and what it caught.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace slope::cuda::emulation {

// ---- settings
// -------------------------------------------------------------------------------------

// The order in which blocks, and threads within a block, run. A result must not depend on it.
void set_descending(bool descending);
// What cudaGetDeviceCount and cudaDriverGetVersion say. The emulated device is number 0.
void set_devices(cudaError_t status, int count, int driver_version);
// Bytes that can be allocated.
void set_memory_bound(size_t bytes);
size_t memory_in_use();

// ---- what happened
// --------------------------------------------------------------------------------

struct Counters {
  int64_t launches = 0;  // kernels and library calls queued from the host, not from a graph
  int64_t graph_launches = 0;
  int64_t host_reads = 0;   // copies from the device
  int64_t bytes_read = 0;   // by them
  int64_t host_writes = 0;  // copies to the device
  // Those of them that need not wait for all that other streams still have to do.
  int64_t writes_beside_work = 0;
  int64_t allocations = 0;
  int64_t waits = 0;  // synchronisations of a stream or an event
};
Counters counters();
// Of every byte that came back from the device since the last call: runs are compared by it.
uint64_t take_hash();
// Texts of everything that was wrong since the last call.
std::vector<std::string> take_violations();

// Called before (begins) and after each kernel runs; an empty function: nobody.
void observe_kernels(std::function<void(const char* op, bool begins)> observer);

// ---- memory
// ---------------------------------------------------------------------------------------

// What the work queued in a scope may touch: nothing of the blocks these lie in but these bytes.
struct Extent {
  const void* begin = nullptr;
  size_t bytes = 0;
  bool undefined = false;  // filled with NaN first: what a kernel finds there means nothing
};
class ExtentScope {
 public:
  explicit ExtentScope(std::vector<Extent> extents);
  ~ExtentScope();
  ExtentScope(const ExtentScope&) = delete;
  ExtentScope& operator=(const ExtentScope&) = delete;
};
bool is_device_memory(const void* memory);
const void* device_memory();  // its lowest address

// ---- for the emulated libraries
// -------------------------------------------------------------------

// Queues work on a stream, or keeps it in the graph that the stream captures.
cudaError_t enqueue(cudaStream_t stream, const char* what, std::function<void()> work);
bool is_capturing(cudaStream_t stream);

}  // namespace slope::cuda::emulation
