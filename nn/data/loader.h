// Loader: the batches of an epoch, in order, the next one prepared while the caller uses the last.
#pragma once

#include <future>

#include "nn/data/augment.h"
#include "nn/data/dataset.h"

namespace slope::nn {

// The order of an epoch and every augmented value are functions of (seed, epoch) and the sample
// number alone: the same on any machine, for any batch size. The last batch may be smaller.
class Loader {
 public:
  // shuffle: false gives file order. data must outlive the loader. batch larger than the data, or
  // samples that `augment` cannot change: ValueError. drop_last: leave the last batch of an epoch
  // out where it is smaller than the others.
  Loader(const Dataset& data, int64_t batch, bool shuffle, uint64_t seed, Dtype dtype = Dtype::f32,
         Device device = default_device(), Augmenter augment = {}, bool drop_last = false);
  ~Loader();

  int64_t batches() const { return (data_.size() + (drop_last_ ? 0 : batch_ - 1)) / batch_; }
  // Starts epoch number `epoch`, counted from 0, at batch number `at`.
  void start(int64_t epoch, int64_t at = 0);
  // False when the epoch is over.
  bool next(Batch* batch);
  int64_t position() const { return at_; }  // batches given out in this epoch

 private:
  // A batch on the host. Two of them take turns, so an epoch allocates nothing.
  struct Prepared {
    int64_t count = 0;       // samples
    std::vector<float> f32;  // (count, sample); one of the two is filled
    std::vector<double> f64;
    std::vector<int32_t> labels;
  };
  Prepared prepare(int64_t at, Prepared room) const;
  template <typename T>
  void fill(std::span<const int64_t> indices, std::vector<T>* values) const;

  const Dataset& data_;
  int64_t batch_;
  bool shuffle_;
  uint64_t seed_;
  Dtype dtype_;
  Device device_;
  Augmenter augment_;
  bool drop_last_;
  bool background_;
  int64_t epoch_ = 0;
  std::vector<int64_t> order_;
  int64_t at_ = 0;
  std::future<Prepared> ahead_;  // batch at_, where it is being prepared
  Prepared room_;
};

}  // namespace slope::nn
