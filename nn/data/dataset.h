// Data sets in memory: samples and labels, converted to tensors batch by batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"

namespace slope::nn {

// Either pixels (bytes, v / 255 when a batch is made) or points (floats) are filled.
struct Dataset {
  std::string name;  // "mnist test"
  Shape sample;      // one sample: (H, W, C) or (d)
  int64_t classes = 0;
  std::vector<uint8_t> pixels;  // (size, sample)
  std::vector<float> points;    // (size, sample)
  std::vector<int32_t> labels;  // (size), 0..classes-1

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  bool has_pixels() const { return !pixels.empty(); }
  // The first n samples; n larger than the set: ValueError.
  Dataset first(int64_t n) const;
};

struct Batch {
  Tensor x;       // (N, sample)
  Tensor labels;  // int32 (N)
};
// The samples with these numbers, in this order.
Batch make_batch(const Dataset& data, std::span<const int64_t> indices, Dtype dtype = Dtype::f32,
                 Device device = default_device());

// Batches of an epoch. The order is a function of (seed, epoch) alone: the same on any machine. The
// last batch may be smaller.
class Loader {
 public:
  // shuffle: false gives file order. batch larger than the data: ValueError.
  Loader(const Dataset& data, int64_t batch, bool shuffle, uint64_t seed, Dtype dtype = Dtype::f32,
         Device device = default_device());
  int64_t batches() const { return (data_.size() + batch_ - 1) / batch_; }
  // Starts epoch number `epoch`, counted from 0, at batch number `at`.
  void start(int64_t epoch, int64_t at = 0);
  // False when the epoch is over.
  bool next(Batch* batch);
  int64_t position() const { return at_; }  // batches given out in this epoch

 private:
  const Dataset& data_;
  int64_t batch_;
  bool shuffle_;
  uint64_t seed_;
  Dtype dtype_;
  Device device_;
  std::vector<int64_t> order_;
  int64_t at_ = 0;
};

}  // namespace slope::nn
