// WeightAverage: an exponential moving average of the weights, often better than the last ones.
#pragma once

#include <vector>

#include "nn/module.h"

namespace slope::nn {

// a = d a + (1 - d) p after each optimiser step (Polyak and Juditsky 1992), with
// d = min(decay, (1 + step) / (10 + step)), so that the first weights, which are random, are soon
// forgotten.
class WeightAverage {
 public:
  // decay: from 0 up to below 1, else ValueError. Starts at the parameters as they are.
  WeightAverage(const std::vector<NamedTensor>& parameters, double decay);

  // step: () of the parameters' dtype, 1 for the first. Writes in place: a plan can hold it.
  void update(const Tensor& step);
  // Swaps the average with the parameters, in place: for an evaluation, then back.
  void exchange();

  // The average, or the parameters while they are exchanged; under the parameters' names.
  const std::vector<NamedTensor>& values() const { return values_; }

 private:
  std::vector<NamedTensor> parameters_, values_;
  double decay_;
};

}  // namespace slope::nn
