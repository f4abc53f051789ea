// What the routes of a convolution (conv_own, conv_onednn, conv_winograd) have in common: the
// interface behind conv.h, memory, and which transformed weights are kept.
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

// Which weights the transformed copies of a prepared convolution are of. There are a few copies,
// since layers of one shape share a prepared call and take turns with it, as in the field of an
// ODE.
class KeptWeights {
 public:
  static constexpr int kCopies = 4;
  struct Place {
    int copy;      // of kCopies
    bool current;  // it is that of the weights asked for, else it is to be made
  };

  // The place of these weights: theirs, or the one that was used longest ago.
  Place find(WeightVersion now) {
    int found = 0;
    for (int i = 0; i < kCopies; ++i) {
      if (names(kept_[i].weights, now)) {
        found = i;
        break;
      }
      if (kept_[i].used < kept_[found].used) found = i;
    }
    Kept& place = kept_[found];
    const bool current = names(place.weights, now) && place.weights.version == now.version;
    place = {now, ++runs_};
    return {found, current};
  }

 private:
  struct Kept {
    WeightVersion weights;
    uint64_t used = 0;
  };
  static bool names(const WeightVersion& kept, const WeightVersion& now) {
    return now.storage != 0 && kept.storage == now.storage && kept.data == now.data;
  }

  Kept kept_[kCopies];
  uint64_t runs_ = 0;
};

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
