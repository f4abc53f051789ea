#include "nn/data/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace slope::nn {
namespace {

constexpr uint32_t kHoldOutStream = 0x401d;

// Another data set of this kind, without samples.
Dataset empty_like(const Dataset& data, const std::string& name) {
  return {.name = name,
          .sample = data.sample,
          .classes = data.classes,
          .pixels = {},
          .points = {},
          .labels = {},
          .class_names = data.class_names};
}

// Moves the samples with `taken` to the end of `out`, the others forward. width: values of a
// sample.
template <typename T>
void part(std::vector<T>* from, const std::vector<bool>& taken, size_t width, std::vector<T>* out) {
  if (from->empty()) return;
  auto to = from->begin();
  for (size_t i = 0; i < taken.size(); ++i) {
    const auto sample = from->begin() + static_cast<std::ptrdiff_t>(i * width);
    const auto end = sample + static_cast<std::ptrdiff_t>(width);
    if (taken[i])
      out->insert(out->end(), sample, end);
    else
      to = std::copy(sample, end, to);
  }
  from->erase(to, from->end());
}

template <typename Stored, typename T>
void gather_from(const std::vector<Stored>& from, std::span<const int64_t> indices, int64_t width,
                 T divisor, std::vector<T>* values) {
  values->resize(indices.size() * static_cast<size_t>(width));
  T* to = values->data();
  for (const int64_t i : indices) {
    const Stored* sample = from.data() + i * width;
    for (int64_t j = 0; j < width; ++j) to[j] = static_cast<T>(sample[j]) / divisor;
    to += width;
  }
}

}  // namespace

uint32_t Dataset::checksum() const {
  uLong sum = 0;
  const auto add = [&](const auto& values) {
    if (values.empty()) return;  // zlib would begin anew
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(values.data()),
                  values.size() * sizeof values[0]);
  };
  add(labels);
  add(pixels);
  add(points);
  return static_cast<uint32_t>(sum);
}

Dataset Dataset::first(int64_t n) const {
  if (n < 1 || n > size()) {
    throw ValueError(
        concat("data: ", name, " has ", size(), " samples, asked for the first ", n, "."));
  }
  Dataset part = empty_like(*this, name);
  const auto values = n * sample.size();
  if (has_pixels()) {
    part.pixels.assign(pixels.begin(), pixels.begin() + values);
  } else {
    part.points.assign(points.begin(), points.begin() + values);
  }
  part.labels.assign(labels.begin(), labels.begin() + n);
  return part;
}

Dataset Dataset::hold_out(double share, uint64_t seed) {
  const auto n = static_cast<int64_t>(std::floor(share * static_cast<double>(size())));
  if (!(share > 0 && share < 1) || n < 1) {
    throw ValueError(concat("data: a share of ", share, " of the ", size(), " samples of ", name,
                            " cannot be held out: it must leave samples on both sides."));
  }
  std::vector<bool> taken(labels.size());
  const std::vector<int64_t> order = Rng(seed, kHoldOutStream).permutation(size());
  for (int64_t i = 0; i < n; ++i) taken[static_cast<size_t>(order[static_cast<size_t>(i)])] = true;
  Dataset out = empty_like(*this, name + " (held out)");
  const auto width = static_cast<size_t>(sample.size());
  part(&pixels, taken, width, &out.pixels);
  part(&points, taken, width, &out.points);
  part(&labels, taken, 1, &out.labels);
  return out;
}

template <typename T>
void gather(const Dataset& data, std::span<const int64_t> indices, std::vector<T>* values) {
  if (data.has_pixels())
    gather_from(data.pixels, indices, data.sample.size(), T(255), values);
  else
    gather_from(data.points, indices, data.sample.size(), T(1), values);
}
template void gather(const Dataset&, std::span<const int64_t>, std::vector<float>*);
template void gather(const Dataset&, std::span<const int64_t>, std::vector<double>*);

Batch make_batch(const Dataset& data, std::span<const int64_t> indices, Dtype dtype,
                 Device device) {
  Shape shape{static_cast<int64_t>(indices.size())};
  for (int64_t n : data.sample) shape.push_back(n);
  std::vector<int32_t> labels;
  for (int64_t i : indices) labels.push_back(data.labels[static_cast<size_t>(i)]);
  const Tensor x = dispatch_float(dtype, [&]<typename T>() {
    std::vector<T> values;
    gather(data, indices, &values);
    return from_host(values, shape, device);
  });
  return {x, from_host(labels, {shape[0]}, device)};
}

}  // namespace slope::nn
