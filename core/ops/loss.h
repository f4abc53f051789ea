// Softmax and losses.
#pragma once

#include "core/tensor.h"

namespace slope {

// Along one axis; negative ones count from the end.
Tensor softmax(const Tensor& x, int axis = -1);
Tensor log_softmax(const Tensor& x, int axis = -1);

enum class Reduction : int64_t { mean, sum, none };
// logits: (N, classes), labels: int32 (N) -> () or (N). label_smoothing s puts s / classes on every
// class. The gradient is (softmax - target) in one pass. A label outside of 0..classes-1 is never
// used as an index: it makes its loss and its gradient NaN. (Data that comes from a file is checked
// where it is read: check_indices.)
struct CrossEntropyOptions {
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;
};
Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options = {});
// x, target: same shape; the mean of -target log(sigmoid(x)) - (1 - target) log(1 - sigmoid(x)),
// without overflow. Reduction::none keeps the shape.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        Reduction reduction = Reduction::mean);
Tensor mean_squared_error(const Tensor& x, const Tensor& target,
                          Reduction reduction = Reduction::mean);

// x times a mask of 0 and 1 / (1 - p), drawn from key: int32 (4) (core/random.h). 0 <= p < 1; p = 0
// returns x.
Tensor dropout(const Tensor& x, double p, const Tensor& key);

// For backends.
//   softmax, log_softmax     x (.., classes) -> the same, over the last axis
//   cross_entropy            logits, labels -> () or (N); attributes: CrossEntropyOptions
//   cross_entropy_gradient   g () or (N), logits, labels -> like logits; the same attributes

}  // namespace slope
