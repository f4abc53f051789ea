// Op: the record that says everything about one operation, in one place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "core/tensor.h"

namespace slope {

struct Op;

// An op's own numbers: a small trivially copyable struct, stored by value. Structs should have no
// padding between members (use int64_t and double), since equality is of bytes; a wrong "different"
// only costs a prepared call.
class Attributes {
 public:
  static constexpr size_t kCapacity = 320;

  Attributes() = default;
  template <typename T>
  requires(std::is_trivially_copyable_v<T> && !std::is_same_v<T, Attributes>)
      Attributes(const T& value)
      : size_(sizeof(T)) {  // NOLINT: implicit on purpose
    static_assert(sizeof(T) <= kCapacity, "attributes are small: move data into tensors");
    std::memcpy(bytes_.data(), &value, sizeof(T));
  }
  Attributes(const Attributes& other) { *this = other; }
  Attributes& operator=(const Attributes& other) {
    size_ = other.size_;
    object_ = other.object_;
    std::memcpy(bytes_.data(), other.bytes_.data(), size_);
    return *this;
  }
  // `custom` ops carry their two functions in an object.
  static Attributes of_object(std::shared_ptr<const void> object) {
    Attributes a;
    a.object_ = std::move(object);
    return a;
  }

  template <typename T>
  const T& as() const {
    return *std::launder(reinterpret_cast<const T*>(bytes_.data()));
  }
  const void* object() const { return object_.get(); }
  std::span<const std::byte> bytes() const { return {bytes_.data(), size_}; }

 private:
  size_t size_ = 0;
  std::shared_ptr<const void> object_;
  alignas(8) std::array<std::byte, kCapacity> bytes_;
};

// One application of an op. Inputs may be views of any layout.
struct Call {
  const Op& op;
  std::span<const Tensor> inputs;
  const Attributes& attributes;

  int count() const { return static_cast<int>(inputs.size()); }
  const Tensor& in(int i) const { return inputs[static_cast<size_t>(i)]; }
  // Optional inputs are undefined tensors, or missing at the end.
  bool has(int i) const { return i < count() && in(i).defined(); }
  template <typename T>
  const T& as() const {
    return attributes.as<T>();
  }
};

struct OutSpec {
  Shape shape;
  Dtype dtype;
};
using OutSpecs = std::vector<OutSpec>;

// Where a view's values lie in its input's storage.
struct ViewSpec {
  Shape shape;
  Strides strides;
  int64_t offset = 0;
};

// What a gradient rule gets: the call, its outputs, and the cotangent of each visible output.
struct Vjp {
  const Call& call;  // inputs that the record does not keep have no data, only shape and dtype
  std::span<const Tensor> outputs;     // hidden ones included; likewise
  std::span<const Tensor> cotangents;  // one for each visible output; undefined where nothing flows
  const std::vector<bool>& wanted_inputs;
  bool differentiable;  // an outer tape listens: use ops that have gradients themselves

  const Tensor& in(int i) const { return call.in(i); }
  bool has(int i) const { return call.has(i); }
  const Tensor& out(int i = 0) const { return outputs[static_cast<size_t>(i)]; }
  const Tensor& g(int i = 0) const { return cotangents[static_cast<size_t>(i)]; }
  bool wanted(int i) const { return wanted_inputs[static_cast<size_t>(i)]; }
  template <typename T>
  const T& as() const {
    return call.as<T>();
  }
};

// A test input: its shape and what its values are drawn from.
struct SampleInput {
  Shape shape;
  double low = -2;
  double high = 2;
  bool integer = false;    // int32 in low..high, both included
  bool undefined = false;  // an optional input left out
};
struct Sample {
  std::vector<SampleInput> inputs;
  Attributes attributes = {};
};
using Samples = std::vector<Sample>;

// Bit masks over the arguments of a record, for Op::keeps.
constexpr uint32_t kNothing = 0;
constexpr uint32_t kInputs = 0xffff;    // all inputs
constexpr uint32_t kOutput = 1u << 16;  // output 0; output i is kOutput << i
constexpr uint32_t kOutputs = 0xfu << 16;
constexpr uint32_t input_bit(int i) { return 1u << i; }

struct Op {
  const char* name;
  // Checks everything that can be wrong with a call and gives shape and dtype of each output,
  // hidden ones too.
  OutSpecs (*shape)(const Call&);
  int visible = 1;                              // outputs past these are kept for the gradient only
  Tensors (*decompose)(const Call&) = nullptr;  // the visible values from simpler ops
  // One gradient for each input; undefined where it is zero or not wanted. A gradient may have the
  // broadcast shape: the tape sums it back. Null: decompose is rerun under an inner tape.
  Tensors (*vjp)(const Vjp&) = nullptr;
  Samples (*samples)() = nullptr;  // inputs for every test; a test refuses null
  uint32_t keeps = kInputs;        // what the vjp reads
  uint32_t writes = 0;             // inputs written in place (bits); such a record has no gradient
  // Set: no kernel, the output shares the storage of input 0. Nothing: its layout does not allow
  // it, copy it first.
  std::optional<ViewSpec> (*view)(const Call&) = nullptr;
  bool strided = false;        // the kernel reads inputs of any layout (pointwise and copy)
  bool differentiable = true;  // false: the gradient is zero everywhere (comparisons, argmax)
  bool random_key = false;     // input 0 is the key of random numbers
};

// Ops in the order of their names, for `slope info ops`, the conformance suite and `find_op`.
const std::vector<const Op*>& all_ops();

// The modes in which the conformance suite tests a record: "value", "decompose", "gradient",
// "second-gradient", "plan", "threads". It follows from the record which of them apply.
std::vector<std::string> conformance_modes(const Op& op);

}  // namespace slope
