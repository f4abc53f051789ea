#include "nn/data/loader.h"

#include <algorithm>
#include <numeric>

#include "core/random.h"

namespace slope::nn {
namespace {

// Streams of the seed: what the shuffle draws has nothing to do with what anything else draws.
constexpr uint32_t kShuffleStream = 0x5f0f;
// A batch of fewer values is made faster than a thread is started (about 20 us).
constexpr int64_t kWorthAThread = 50'000;

}  // namespace

Loader::Loader(const Dataset& data, int64_t batch, bool shuffle, uint64_t seed, Dtype dtype,
               Device device, Augmenter augment, bool drop_last)
    : data_(data),
      batch_(batch),
      shuffle_(shuffle),
      seed_(seed),
      dtype_(dtype),
      device_(device),
      augment_(std::move(augment)),
      drop_last_(drop_last),
      background_(batch * data.sample.size() >= kWorthAThread) {
  if (batch < 1) throw ValueError(concat("batch: must be at least 1, got ", batch, "."));
  if (batch > data.size()) {
    throw ValueError(concat("batch: ", batch, " is more than the ", data.size(), " samples of ",
                            data.name, ". Use a smaller --batch."));
  }
  augment_.check(data.sample, data.has_pixels());
  start(0);
}

Loader::~Loader() {
  if (ahead_.valid()) ahead_.wait();
}

void Loader::start(int64_t epoch, int64_t at) {
  if (ahead_.valid()) room_ = ahead_.get();  // it reads the old order
  epoch_ = epoch;
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

template <typename T>
void Loader::fill(std::span<const int64_t> indices, std::vector<T>* values) const {
  gather(data_, indices, values);
  if (augment_.empty()) return;
  T* sample = values->data();
  for (const int64_t i : indices) {
    augment_.apply(sample, data_.sample, data_.has_pixels(),
                   {.seed = seed_, .epoch = epoch_, .sample = i});
    sample += data_.sample.size();
  }
}

Loader::Prepared Loader::prepare(int64_t at, Prepared room) const {
  const int64_t begin = at * batch_;
  room.count = std::min(batch_, data_.size() - begin);
  const auto indices =
      std::span(order_).subspan(static_cast<size_t>(begin), static_cast<size_t>(room.count));
  if (dtype_ == Dtype::f64)
    fill(indices, &room.f64);
  else
    fill(indices, &room.f32);
  room.labels.clear();
  for (const int64_t i : indices) room.labels.push_back(data_.labels[static_cast<size_t>(i)]);
  return room;
}

bool Loader::next(Batch* batch) {
  if (at_ >= batches()) return false;
  Prepared ready = ahead_.valid() ? ahead_.get() : prepare(at_, std::move(room_));
  ++at_;
  if (background_ && at_ < batches()) {
    ahead_ = std::async(std::launch::async, [this, at = at_, room = std::move(room_)]() mutable {
      return prepare(at, std::move(room));
    });
  }
  Shape shape{ready.count};
  for (const int64_t n : data_.sample) shape.push_back(n);
  batch->x = dtype_ == Dtype::f64 ? from_host(ready.f64, shape, device_)
                                  : from_host(ready.f32, shape, device_);
  batch->labels = from_host(ready.labels, {ready.count}, device_);
  room_ = std::move(ready);
  return true;
}

}  // namespace slope::nn
