// Data sets in memory: samples and labels, converted to tensors batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slope::nn {

// Either pixels (bytes, v / 255 when a batch is made) or points (floats) are filled.
struct Dataset {
  std::string name;  // "mnist test"
  Shape sample;      // one sample: (H, W, C) or (d)
  int64_t classes = 0;
  std::vector<uint8_t> pixels;                // (size, sample)
  std::vector<float> points;                  // (size, sample)
  std::vector<int32_t> labels;                // (size), 0..classes-1
  std::vector<std::string> class_names = {};  // (classes), or none

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  bool has_pixels() const { return !pixels.empty(); }
  // CRC-32 of labels and samples.
  uint32_t checksum() const;
  // The first n samples; n larger than the set: ValueError.
  Dataset first(int64_t n) const;
  // Takes a share of the samples out, drawn by the seed, and returns them; both keep the file's
  // order. floor(share * size) samples; a share that leaves one of the two empty: ValueError.
  Dataset hold_out(double share, uint64_t seed);
};

struct Batch {
  Tensor x;       // (N, sample)
  Tensor labels;  // int32 (N)
};
// The samples with these numbers, in this order.
Batch make_batch(const Dataset& data, std::span<const int64_t> indices, Dtype dtype = Dtype::f32,
                 Device device = default_device());

// The same values on the host: (indices, sample). T: float, double.
template <typename T>
void gather(const Dataset& data, std::span<const int64_t> indices, std::vector<T>* values);

}  // namespace slope::nn
