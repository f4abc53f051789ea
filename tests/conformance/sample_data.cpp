#include "tests/conformance/sample_data.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/random.h"

namespace slope::test {
namespace {

uint64_t hash_of(const std::string& text) {  // FNV-1a
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// Where value `flat` of a row-major tensor of `shape` lies, under `strides`.
int64_t place(int64_t flat, const Shape& shape, const Strides& strides) {
  int64_t at = 0;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    at += flat % shape[axis] * strides[axis];
    flat /= shape[axis];
  }
  return at;
}

int first_long_axis(const Shape& shape) {
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] > 1) return axis;
  }
  return -1;
}

Tensor permuted(const HostInput& input, Dtype dtype, Device device) {
  const Shape& shape = input.wanted.shape;
  Shape stored;
  Axes reversed;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    stored.push_back(shape[axis]);
    reversed.push_back(axis);
  }
  const Strides from = contiguous_strides(stored);
  Strides strides;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) strides.push_back(from[axis]);
  std::vector<double> values(input.values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[static_cast<size_t>(place(static_cast<int64_t>(i), shape, strides))] = input.values[i];
  }
  return permute(tensor(values, stored, dtype, device), reversed);
}

Tensor expanded(const HostInput& input, Dtype dtype, Device device) {
  const Shape& shape = input.wanted.shape;
  const int axis = first_long_axis(shape);
  if (axis < 0) return tensor(input.values, shape, dtype, device);
  Shape stored = shape;
  stored[axis] = 1;
  const Strides strides = contiguous_strides(shape);
  std::vector<double> values(static_cast<size_t>(stored.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = input.values[static_cast<size_t>(place(static_cast<int64_t>(i), stored, strides))];
  }
  return expand(tensor(values, stored, dtype, device), shape);
}

// Every second value of a longer last axis.
Tensor sliced(const HostInput& input, Dtype dtype, Device device) {
  const bool is_scalar = input.wanted.shape.rank() == 0;
  const Shape shape = is_scalar ? Shape{1} : input.wanted.shape;
  const int last = shape.rank() - 1;
  Shape stored = shape;
  stored[last] = 2 * shape[last] + 1;
  const double between =
      input.wanted.integer ? input.wanted.low : std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values(static_cast<size_t>(stored.size()), between);
  Strides strides = contiguous_strides(stored);
  strides[last] = 2;
  for (size_t i = 0; i < input.values.size(); ++i) {
    values[static_cast<size_t>(place(static_cast<int64_t>(i), shape, strides)) + 1] =
        input.values[i];
  }
  const Tensor view = slice(tensor(values, stored, dtype, device), last, 1, 2 * shape[last] + 1, 2);
  return is_scalar ? reshape(view, {}) : view;
}

// The op's opinion of inputs that have shapes but no values.
bool shape_rule_accepts(const Op& op, const Sample& sample) {
  Tensors inputs;
  for (const SampleInput& wanted : sample.inputs) {
    inputs.push_back(wanted.undefined
                         ? Tensor()
                         : Tensor(Tensor::Body{.shape = wanted.shape,
                                               .strides = contiguous_strides(wanted.shape),
                                               .dtype = wanted.integer ? Dtype::i32 : Dtype::f32,
                                               .device = default_device()}));
  }
  try {
    for (const OutSpec& spec : op.shape({op, inputs, sample.attributes})) {
      if (spec.shape.size() > (1 << 21)) return false;
    }
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

const char* name(Layout layout) {
  switch (layout) {
    case Layout::contiguous:
      return "contiguous";
    case Layout::permuted:
      return "permuted";
    case Layout::expanded:
      return "expanded";
    case Layout::sliced:
      return "sliced";
  }
  return "?";
}

HostInputs draw(const Op& op, const Sample& sample, const Drawing& drawing) {
  HostInputs inputs;
  const uint64_t seed = hash_of(op.name) + hash_of(describe(sample));
  Rng rng(seed, static_cast<uint32_t>(2 * drawing.round + (drawing.coarse ? 1 : 0)));
  for (const SampleInput& wanted : sample.inputs) {
    HostInput input{wanted, {}};
    if (!wanted.undefined) input.values.resize(static_cast<size_t>(wanted.shape.size()));
    for (double& value : input.values) {
      const double u = rng.uniform();
      if (wanted.integer) {
        value = std::min(wanted.high, std::floor(wanted.low + u * (wanted.high - wanted.low + 1)));
        continue;
      }
      value = wanted.low + u * (wanted.high - wanted.low);
      if (drawing.coarse) value = std::round(value * 4) / 4;
      value = static_cast<float>(std::clamp(value, wanted.low, wanted.high));
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

void repeat_values(HostInput& input) {
  const Shape& shape = input.wanted.shape;
  const int axis = first_long_axis(shape);
  if (axis < 0 || input.values.empty()) return;
  Strides strides = contiguous_strides(shape);
  strides[axis] = 0;
  const std::vector<double> old = input.values;
  for (size_t i = 0; i < old.size(); ++i) {
    input.values[i] = old[static_cast<size_t>(place(static_cast<int64_t>(i), shape, strides))];
  }
}

Tensor to_tensor(const HostInput& input, Dtype dtype, Layout layout, Device device) {
  if (input.wanted.undefined) return {};
  const Dtype actual = input.wanted.integer ? Dtype::i32 : dtype;
  switch (layout) {
    case Layout::permuted:
      return permuted(input, actual, device);
    case Layout::expanded:
      return expanded(input, actual, device);
    case Layout::sliced:
      return sliced(input, actual, device);
    case Layout::contiguous:
      break;
  }
  return tensor(input.values, input.wanted.shape, actual, device);
}

Tensors to_tensors(const HostInputs& inputs, Dtype dtype, Device device) {
  Tensors tensors;
  for (const HostInput& input : inputs) {
    tensors.push_back(to_tensor(input, dtype, Layout::contiguous, device));
  }
  return tensors;
}

Samples enlarged(const Op& op, const Sample& sample) {
  int64_t largest = 0;
  int first = -1;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const SampleInput& input = sample.inputs[i];
    if (input.undefined || input.shape.rank() == 0) continue;
    if (first < 0) first = static_cast<int>(i);
    largest = std::max(largest, input.shape.size());
  }
  if (largest == 0) return {};
  const int64_t factor = std::max<int64_t>(2, 40000 / largest);
  const Shape& leader = sample.inputs[static_cast<size_t>(first)].shape;

  Samples all;
  const auto consider = [&](auto&& stretch) {
    Sample larger = sample;
    for (size_t i = 0; i < larger.inputs.size(); ++i) {
      SampleInput& input = larger.inputs[i];
      if (!input.undefined && input.shape.rank() > 0) stretch(static_cast<int>(i), input.shape);
    }
    if (shape_rule_accepts(op, larger)) all.push_back(std::move(larger));
  };
  // The batch of every input that has the first one's; the first input's batch alone; the last
  // axis of every input that has the first one's.
  consider([&](int, Shape& s) {
    if (s[0] == leader[0]) s[0] *= factor;
  });
  consider([&](int i, Shape& s) {
    if (i == first) s[0] *= factor;
  });
  consider([&](int, Shape& s) {
    if (s.back() == leader.back()) s[s.rank() - 1] *= factor;
  });
  return all;
}

std::string describe(const Sample& sample) {
  std::string text = "inputs";
  for (const SampleInput& input : sample.inputs) {
    text += text == "inputs" ? " " : ", ";
    text += input.undefined ? "none" : to_string(input.shape);
  }
  return text;
}

}  // namespace slope::test
