#include "nn/average.h"

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"

namespace slope::nn {

WeightAverage::WeightAverage(const std::vector<NamedTensor>& parameters, double decay)
    : parameters_(parameters), decay_(decay) {
  if (!(decay >= 0 && decay < 1))
    throw ValueError(concat("average: decay must be from 0 to below 1, got ", decay, "."));
  for (const NamedTensor& p : parameters) values_.push_back({p.name, p.tensor.clone()});
}

void WeightAverage::update(const Tensor& step) {
  const Tensor share = 1 - clamp((step + 1) / (step + 10), 0, decay_);  // of the new weights
  for (size_t i = 0; i < values_.size(); ++i) {
    const Tensor& average = values_[i].tensor;
    copy_into(average, average + (parameters_[i].tensor - average) * share);
  }
}

void WeightAverage::exchange() {
  for (size_t i = 0; i < values_.size(); ++i) {
    const Tensor kept = values_[i].tensor.clone();
    copy_into(values_[i].tensor, parameters_[i].tensor);
    copy_into(parameters_[i].tensor, kept);
  }
}

}  // namespace slope::nn
