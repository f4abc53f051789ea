#include "nn/data/dataset.h"

#include <numeric>

namespace slope::nn {
namespace {

// Streams of the seed: what the shuffle draws has nothing to do with what anything else draws.
constexpr uint32_t kShuffleStream = 0x5f0f;

template <typename Stored, typename T>
std::vector<T> gathered(const std::vector<Stored>& from, std::span<const int64_t> indices,
                        int64_t width, T divisor) {
  std::vector<T> values(indices.size() * static_cast<size_t>(width));
  T* to = values.data();
  for (int64_t i : indices) {
    const Stored* sample = from.data() + i * width;
    for (int64_t j = 0; j < width; ++j) *to++ = static_cast<T>(sample[j]) / divisor;
  }
  return values;
}

}  // namespace

Dataset Dataset::first(int64_t n) const {
  if (n < 1 || n > size()) {
    throw ValueError(
        concat("data: ", name, " has ", size(), " samples, asked for the first ", n, "."));
  }
  Dataset part{
      .name = name, .sample = sample, .classes = classes, .pixels = {}, .points = {}, .labels = {}};
  const auto values = n * sample.size();
  if (has_pixels()) {
    part.pixels.assign(pixels.begin(), pixels.begin() + values);
  } else {
    part.points.assign(points.begin(), points.begin() + values);
  }
  part.labels.assign(labels.begin(), labels.begin() + n);
  return part;
}

Batch make_batch(const Dataset& data, std::span<const int64_t> indices, Dtype dtype,
                 Device device) {
  Shape shape{static_cast<int64_t>(indices.size())};
  for (int64_t n : data.sample) shape.push_back(n);
  std::vector<int32_t> labels;
  for (int64_t i : indices) labels.push_back(data.labels[static_cast<size_t>(i)]);
  const int64_t width = data.sample.size();
  const Tensor x = dispatch_float(dtype, [&]<typename T>() {
    return from_host(data.has_pixels() ? gathered<uint8_t, T>(data.pixels, indices, width, T(255))
                                       : gathered<float, T>(data.points, indices, width, T(1)),
                     shape, device);
  });
  return {x, from_host(labels, {shape[0]}, device)};
}

Loader::Loader(const Dataset& data, int64_t batch, bool shuffle, uint64_t seed, Dtype dtype,
               Device device)
    : data_(data), batch_(batch), shuffle_(shuffle), seed_(seed), dtype_(dtype), device_(device) {
  if (batch < 1) throw ValueError(concat("batch: must be at least 1, got ", batch, "."));
  if (batch > data.size()) {
    throw ValueError(concat("batch: ", batch, " is more than the ", data.size(), " samples of ",
                            data.name, ". Use a smaller --batch."));
  }
  start(0);
}

void Loader::start(int64_t epoch, int64_t at) {
  at_ = at;
  if (shuffle_) {
    Rng rng(seed_, kShuffleStream);
    rng.set_counter(static_cast<uint32_t>(epoch));
    order_ = rng.permutation(data_.size());
  } else {
    order_.resize(static_cast<size_t>(data_.size()));
    std::iota(order_.begin(), order_.end(), 0);
  }
}

bool Loader::next(Batch* batch) {
  const int64_t begin = at_ * batch_, end = std::min(begin + batch_, data_.size());
  if (begin >= end) return false;
  ++at_;
  *batch = make_batch(
      data_,
      std::span(order_).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
      dtype_, device_);
  return true;
}

}  // namespace slope::nn
