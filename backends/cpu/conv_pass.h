// What the routes of a convolution (conv_own, conv_onednn) have in common: the interface behind
// conv.h, and memory.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "backends/cpu/conv.h"

namespace slope::cpu {

template <typename T>
struct Convolution<T>::Implementation {
  virtual ~Implementation() = default;
  virtual ConvRoute route() const = 0;
  virtual size_t scratch_bytes() const = 0;
  virtual void run(const T* first, const T* second, const T* bias, T* result, void* scratch,
                   WeightVersion weights) = 0;
};

// The route over gemm.h, for every shape.
template <typename T>
std::unique_ptr<typename Convolution<T>::Implementation> make_own_convolution(
    const ConvShape& shape, ConvPass pass);

// The route over oneDNN; null where slope was built without it or the shape is empty.
std::unique_ptr<Convolution<float>::Implementation> make_onednn_convolution(const ConvShape& shape,
                                                                            ConvPass pass);

// Whether oneDNN is the faster of the two for this shape. Looks at everything but the batch.
bool onednn_pays(const ConvShape& shape, ConvPass pass);

constexpr size_t round_up(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

// 64-byte aligned memory of a fixed size.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  explicit AlignedMemory(size_t bytes) : memory_(std::aligned_alloc(64, round_up(bytes + 1, 64))) {
    if (!memory_) throw std::bad_alloc();
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
};

// Whether the kept copy of the weights is that of `now`; notes `now` as the kept one.
inline bool weights_unchanged(WeightVersion& kept, WeightVersion now) {
  const bool same = now.storage != 0 && now.storage == kept.storage && now.version == kept.version;
  kept = now;
  return same;
}

// The images of chunk `index`, if a batch is cut into at most `most` chunks of equal size (the last
// may be smaller).
struct BatchChunks {
  int64_t batch, size, count;
  BatchChunks(int64_t batch_size, int64_t most)
      : batch(batch_size),
        size((batch_size + most - 1) / most),
        count(batch_size == 0 ? 0 : (batch_size + size - 1) / size) {}
  int64_t begin(int64_t index) const { return index * size; }
  int64_t images(int64_t index) const { return index + 1 < count ? size : batch - index * size; }
};

}  // namespace slope::cpu
