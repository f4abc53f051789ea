// The words of a kernel, on the host: what backends/cuda/api.h includes instead of a device.
//
// Blocks run one after the other. The threads of a block are fibres of one host thread, so they
// take turns only where they wait: at a barrier or a shuffle. Whatever a kernel does that is wrong
// on some GPU is a violation (emulator.h), even where this emulation would get the right result.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace slope::cuda::emulation {

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// Notes that a kernel, or a call, did what it must not do.
void violation(const std::string& what);

// Waits for all threads of the block.
void barrier();
// Leaves `mine` for the warp, waits for all its lanes, and gives what lane `of` left. bytes <= 8.
void exchange(unsigned mask, int of, const void* mine, void* theirs, size_t bytes);
int lane();

// Who touched an element of shared memory since the last barrier.
struct Touched {
  int64_t written_in = -1, read_in = -1;  // numbers of barrier intervals
  int writer = -1, reader = -1;           // threads; kMany: more than one has read
  bool defined = false;
};
constexpr int kMany = -2;

// One shared array of the source: its memory is undefined at the start of each block.
class SharedSlot {
 public:
  void enter(size_t elements, size_t element_bytes);
  void* read(int64_t element);  // both check bounds and races
  void* write(int64_t element);

 private:
  void check_bounds(int64_t element) const;
  int64_t block_ = -1;  // serial number of the block that uses it
  size_t element_bytes_ = 0;
  std::vector<unsigned char> bytes_;
  std::vector<Touched> touched_;
};

template <typename T>
class SharedArray {
 public:
  class Element {
   public:
    Element(SharedSlot& slot, int64_t i) : slot_(slot), i_(i) {}
    operator T() const { return *static_cast<T*>(slot_.read(i_)); }  // NOLINT: reads like a T
    Element& operator=(T value) {
      *static_cast<T*>(slot_.write(i_)) = value;
      return *this;
    }
    Element& operator=(const Element& other) { return *this = static_cast<T>(other); }
    Element(const Element&) = default;

   private:
    SharedSlot& slot_;
    int64_t i_;
  };

  SharedArray(SharedSlot& slot, size_t count) : slot_(slot) { slot_.enter(count, sizeof(T)); }
  Element operator[](int64_t i) const { return {slot_, i}; }

 private:
  SharedSlot& slot_;
};

void check_alignment(const void* memory, size_t alignment);
template <typename Vector, typename T>
Vector load_aligned(const T* from) {
  check_alignment(from, alignof(Vector));
  Vector v;
  T values[sizeof(Vector) / sizeof(T)];
  for (size_t i = 0; i < std::size(values); ++i) values[i] = from[i];
  std::memcpy(&v, values, sizeof(Vector));
  return v;
}
template <typename Vector, typename T>
void store_aligned(T* to, const Vector& v) {
  check_alignment(to, alignof(Vector));
  T values[sizeof(Vector) / sizeof(T)];
  std::memcpy(values, &v, sizeof(Vector));
  for (size_t i = 0; i < std::size(values); ++i) to[i] = values[i];
}

// A kernel with its arguments, ready to be called once for each thread. cudaLaunchKernelExC gets
// untyped memory, so launch() announces what is coming just before.
struct Kernel {
  const char* op = "";
  const void* function = nullptr;
  size_t argument_bytes = 0;
  std::function<void()> call;
};
void announce(Kernel kernel);

template <typename... P>
void announce_kernel(const char* op, void (*kernel)(P...), P... arguments) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "arguments travel as bytes");
  announce({op, reinterpret_cast<const void*>(kernel), (sizeof(P) + ... + 0),
            [kernel, arguments...] { kernel(arguments...); }});
}

}  // namespace slope::cuda::emulation

namespace slope::cuda {

using emulation::blockDim;
using emulation::blockIdx;
using emulation::gridDim;
using emulation::threadIdx;

#define SLOPE_SHARED(T, name, count)                       \
  static ::slope::cuda::emulation::SharedSlot name##_slot; \
  const ::slope::cuda::emulation::SharedArray<T> name(name##_slot, count)
#define SLOPE_BARRIER() ::slope::cuda::emulation::barrier()

template <typename T>
T __shfl_xor_sync(unsigned mask, T mine, int lanes) {
  T theirs;
  emulation::exchange(mask, emulation::lane() ^ lanes, &mine, &theirs, sizeof(T));
  return theirs;
}

}  // namespace slope::cuda
