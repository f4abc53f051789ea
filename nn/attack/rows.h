// Rows of a batch, one for each sample: taking some, putting them back, and numbers per sample.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace slope::nn {

// x: (N, ..) -> (places.size(), ..): rows in this order; a place may come again.
Tensor take_rows(const Tensor& x, const std::vector<int64_t>& places);
// x: (N, ..), rows: (M, ..), places: (M) different places in x -> x with these rows replaced.
Tensor put_rows(const Tensor& x, const std::vector<int64_t>& places, const Tensor& rows);
// a where chosen, else b; a, b: (N, ..).
Tensor choose_rows(const std::vector<bool>& chosen, const Tensor& a, const Tensor& b);
// One number per sample, (N, 1, .., 1), to be combined with x: (N, ..).
Tensor column(const std::vector<double>& values, const Tensor& x);
// The places where `chosen` is not set.
std::vector<int64_t> places_without(const std::vector<bool>& chosen);

// The same for a list: values[places[0]], ..
template <typename T>
std::vector<T> take(const std::vector<T>& values, const std::vector<int64_t>& places) {
  std::vector<T> taken;
  taken.reserve(places.size());
  for (const int64_t i : places) taken.push_back(values[static_cast<size_t>(i)]);
  return taken;
}

// The best that an attack has found for each sample so far: first of all a fooled model, then a
// high loss.
class Found {
 public:
  // clean: (N, ..), what stands for a sample until something is offered.
  explicit Found(const Tensor& clean);
  // places: (M) the samples that are meant; x: (M, ..). Loses against what is there at a tie.
  void offer(const std::vector<int64_t>& places, const Tensor& x, const std::vector<double>& loss,
             const std::vector<bool>& fooled);
  const Tensor& x() const { return x_; }
  const std::vector<bool>& fooled() const { return fooled_; }

 private:
  Tensor x_;
  std::vector<double> loss_;
  std::vector<bool> fooled_;
};

}  // namespace slope::nn
