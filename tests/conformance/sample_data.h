// Inputs for the conformance suite: values for an op's samples, in several memory layouts.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"

namespace slope::test {

// How an input's values lie in memory. Every layout but `contiguous` is a view of a larger or
// differently ordered block; what lies between the values is NaN.
enum class Layout { contiguous, permuted, expanded, sliced };
constexpr Layout kLayouts[] = {Layout::contiguous, Layout::permuted, Layout::expanded,
                               Layout::sliced};
const char* name(Layout layout);

// One input on the host, in row-major order.
struct HostInput {
  SampleInput wanted;
  std::vector<double> values;
};
using HostInputs = std::vector<HostInput>;

struct Drawing {
  int round = 0;        // another round, other values
  bool coarse = false;  // multiples of 1/4, so that equal values meet (ties, comparisons)
};
// Reproducible values in the range that the sample asks for. All are exact in float32, so that a
// float32 kernel and a float64 oracle see the same ones.
HostInputs draw(const Op& op, const Sample& sample, const Drawing& drawing = {});

// What the values become when an input is expanded: along one axis they are all the same. The
// axis is the first one longer than 1; nothing changes when there is none.
void repeat_values(HostInput& input);

// The values as a tensor; undefined where the sample leaves the input out. Integers become int32.
// For Layout::expanded the values must have been repeated.
Tensor to_tensor(const HostInput& input, Dtype dtype, Layout layout, Device device);
Tensors to_tensors(const HostInputs& inputs, Dtype dtype, Device device);

// The sample with more values (about 40,000 in its largest input), for tests that want kernels to
// use threads: every way of stretching an axis that the op's shape rule accepts, maybe none.
Samples enlarged(const Op& op, const Sample& sample);

// "inputs (2, 3), (3)"
std::string describe(const Sample& sample);

}  // namespace slope::test
