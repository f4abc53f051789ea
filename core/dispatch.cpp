#include "core/dispatch.h"

#include <algorithm>
#include <array>
#include <list>
#include <unordered_map>

#include "core/exact.h"
#include "core/ops.h"
#include "core/storage.h"

namespace slope {
namespace {

thread_local std::vector<Recorder*> recorder_stack;

// Everything a prepared call may depend on, as bytes. Valid until the next call on this thread: one
// buffer serves all, so that looking a call up allocates nothing.
const std::string& prepared_key(const Call& call, Device device) {
  thread_local std::string key;
  key.clear();
  const auto add = [&](const void* p, size_t n) { key.append(static_cast<const char*>(p), n); };
  const auto add_shape = [&](const Shape& s) {
    key.push_back(static_cast<char>(s.rank()));
    add(s.begin(), sizeof(int64_t) * static_cast<size_t>(s.rank()));
  };
  const void* identity[] = {&call.op, &device.backend()};
  add(identity, sizeof(identity));
  key.push_back(exact_kernels() ? 'e' : 'f');
  const std::span<const std::byte> attributes = call.attributes.bytes();
  add(attributes.data(), attributes.size());
  for (const Tensor& x : call.inputs) {
    if (!x.defined()) {
      key.push_back('-');
      continue;
    }
    key.push_back(static_cast<char>(x.dtype()));
    add_shape(x.shape());
    if (call.op.strided && !x.contiguous()) add_shape(x.strides());
  }
  return key;
}

// The prepared calls that eager execution used last, for this thread.
class PreparedCache {
 public:
  std::shared_ptr<Prepared> get(const Call& call, Device device) {
    if (const auto found = index_.find(prepared_key(call, device)); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->second;
    }
    std::shared_ptr<Prepared> prepared = device->prepare(call);
    if (!prepared) return nullptr;
    const std::string key = prepared_key(call, device);  // preparing may have looked others up
    entries_.emplace_front(key, prepared);
    index_.emplace(key, entries_.begin());
    if (entries_.size() > kCapacity) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return prepared;
  }

 private:
  static constexpr size_t kCapacity = 1024;
  std::list<std::pair<std::string, std::shared_ptr<Prepared>>> entries_;
  std::unordered_map<std::string, decltype(entries_)::iterator> index_;
};

Device device_of(const Call& call) {
  Device found;
  for (const Tensor& x : call.inputs) {
    if (!x.defined()) continue;
    if (!found) found = x.device();
    if (x.device() != found) {
      throw DeviceError(concat(call.op.name, ": inputs are on different devices: ", found.name(),
                               " and ", x.device().name(),
                               ". Nothing is copied silently; write x.to(device)."));
    }
  }
  return found ? found : default_device();
}

void tell_recorders(const Recorded& recorded) {
  for (size_t i = 0; i < recorder_stack.size(); ++i) {
    if (!recorder_stack[i]->deaf()) recorder_stack[i]->record(recorded);
  }
}

Tensors make_view(const Call& call) {
  const Tensor& base = call.in(0);
  const std::optional<ViewSpec> spec = call.op.view(call);
  if (!spec) return {apply(call.op, {contiguous(base)}, call.attributes)};
  const Tensors outputs = {Tensor(Tensor::Body{.shape = spec->shape,
                                               .strides = spec->strides,
                                               .offset = base.offset() + spec->offset,
                                               .dtype = base.dtype(),
                                               .device = base.device(),
                                               .storage = base.storage()})};
  tell_recorders({call, outputs, nullptr, nullptr});
  return outputs;
}

Argument argument_of(const Tensor& x) {
  if (!x.defined()) return {};
  return {x.data(), x.storage().get()};
}

// Kernels other than pointwise ones and copies see contiguous inputs only.
bool needs_copies(const Op& op, std::span<const Tensor> inputs) {
  return !op.strided && std::any_of(inputs.begin(), inputs.end(),
                                    [](const Tensor& x) { return x.defined() && !x.contiguous(); });
}

void check_written(const Call& call) {
  for (int i = 0; i < call.count(); ++i) {
    if ((call.op.writes >> i & 1) && call.has(i) && !call.in(i).contiguous() && !call.op.strided) {
      throw ShapeError(
          concat(call.op.name, ": argument ", i, " ", describe(call.in(i)),
                 " is written in place and must be contiguous. Pass a contiguous tensor."));
    }
  }
  for (size_t i = 0; call.op.writes && i < recorder_stack.size(); ++i) {
    if (!recorder_stack[i]->deaf()) recorder_stack[i]->before_write(call);
  }
}

}  // namespace

Tensors apply_all(const Op& op, std::span<const Tensor> inputs, const Attributes& attributes) {
  const Call asked{op, inputs, attributes};
  const Device device = device_of(asked);
  const OutSpecs specs = op.shape(asked);               // all checks are here
  for (const OutSpec& spec : specs) spec.shape.size();  // but for one: sizes beyond any memory
  if (op.view) return make_view(asked);

  check_written(asked);
  Tensors copies;
  if (needs_copies(op, inputs)) {
    for (const Tensor& x : inputs) copies.push_back(x.defined() ? contiguous(x) : x);
  }
  const Call call{op, copies.empty() ? inputs : std::span<const Tensor>(copies), attributes};

  thread_local PreparedCache cache;
  const std::shared_ptr<Prepared> prepared = cache.get(call, device);
  if (!prepared) {
    if (!op.decompose) throw_no_kernel(asked);
    return op.decompose(asked);  // recorders see the pieces
  }

  Tensors outputs;
  outputs.reserve(specs.size());
  for (const OutSpec& spec : specs) outputs.push_back(empty(spec.shape, spec.dtype, device));
  std::shared_ptr<Storage> scratch;
  if (const size_t bytes = prepared->scratch_bytes())
    scratch = std::make_shared<Storage>(device, bytes);

  constexpr size_t kFew = 16;
  std::array<Argument, kFew> few;
  std::vector<Argument> many;
  const size_t count = call.inputs.size() + outputs.size();
  if (count > kFew) many.resize(count);
  Argument* const arguments = count > kFew ? many.data() : few.data();
  Argument* next = arguments;
  for (const Tensor& x : call.inputs) *next++ = argument_of(x);
  for (const Tensor& x : outputs) *next++ = argument_of(x);
  prepared->run(arguments, scratch ? scratch->data() : nullptr);
  for (int i = 0; i < call.count(); ++i) {
    if ((op.writes >> i & 1) && call.has(i)) call.in(i).storage()->bump_version();
  }

  tell_recorders({call, outputs, prepared, scratch});
  outputs.resize(static_cast<size_t>(std::min<int>(op.visible, static_cast<int>(outputs.size()))));
  return outputs;
}

Tensor apply(const Op& op, std::span<const Tensor> inputs, const Attributes& attributes) {
  return apply_all(op, inputs, attributes).front();
}

const std::vector<Recorder*>& recorders() { return recorder_stack; }

RecorderScope::RecorderScope(Recorder& recorder) : recorder_(&recorder) {
  recorder_stack.push_back(recorder_);
}

RecorderScope::~RecorderScope() {
  // Scopes of heap objects may end out of order; take out the right one.
  const auto found = std::find(recorder_stack.rbegin(), recorder_stack.rend(), recorder_);
  if (found != recorder_stack.rend()) recorder_stack.erase(std::next(found).base());
}

MuteTapes::MuteTapes() {
  for (Recorder* r : recorder_stack) {
    if (r->is_tape()) {
      ++r->deaf_;
      muted_.push_back(r);
    }
  }
}

MuteTapes::~MuteTapes() {
  for (Recorder* r : muted_) --r->deaf_;
}

bool tape_listens() {
  return std::any_of(recorder_stack.begin(), recorder_stack.end(),
                     [](const Recorder* r) { return r->is_tape() && !r->deaf(); });
}

void announce(const Call& call, std::span<const Tensor> outputs) {
  tell_recorders({call, outputs, nullptr, nullptr});
}

void throw_no_kernel(const Call& call) {
  const Device device = device_of(call);
  Dtype dtype = Dtype::f32;
  for (const Tensor& x : call.inputs) {
    if (x.defined() && is_float(x.dtype())) dtype = x.dtype();
  }
  throw DeviceError(concat(call.op.name, ": backend \"", device.name(), "\" has no kernel for ",
                           name(dtype), " here. Cast the inputs, or use device cpu or reference."));
}

std::string describe_arguments(const Call& call, std::initializer_list<const char*> names) {
  std::string text;
  int i = 0;
  for (const char* name : names) {
    if (call.has(i)) text += concat(text.empty() ? "" : ", ", name, ' ', describe(call.in(i)));
    ++i;
  }
  return text;
}

void check_float(const Call& call, std::initializer_list<const char*> names, int first, int last) {
  for (int i = first; i < std::min(call.count(), last + 1); ++i) {
    if (call.has(i) && !is_float(call.in(i).dtype())) {
      throw DtypeError(concat(call.op.name, ": ", describe_arguments(call, names), "; ",
                              std::data(names)[i], " must be float32 or float64. Write cast(",
                              std::data(names)[i], ", Dtype::f32)."));
    }
  }
}

void check_same_dtype(const Call& call, std::initializer_list<const char*> names) {
  for (int i = 1; i < static_cast<int>(names.size()); ++i) {
    if (call.has(i) && call.in(i).dtype() != call.in(0).dtype()) {
      throw DtypeError(concat(call.op.name, ": dtypes differ: ", describe_arguments(call, names),
                              ". Nothing is converted silently; write cast(", std::data(names)[i],
                              ", Dtype::",
                              call.in(0).dtype() == Dtype::f64   ? "f64"
                              : call.in(0).dtype() == Dtype::f32 ? "f32"
                                                                 : "i32",
                              ")."));
    }
  }
}

}  // namespace slope
