#include "ode/step_plans.h"

#include <algorithm>
#include <utility>

#include "core/exact.h"
#include "core/ops/movement.h"
#include "core/storage.h"

namespace slope::ode {
namespace {

bool alike(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.shape() == b.shape() && a.dtype() == b.dtype() && a.device() == b.device();
}

bool alike(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return alike(x, y); });
}

Tensors shapes_of(const Tensors& xs) {
  Tensors shapes;
  for (const Tensor& x : xs) shapes.push_back(x.defined() ? x.without_data() : x);
  return shapes;
}

Tensors defined_ones(const Tensors& xs) {
  Tensors defined;
  for (const Tensor& x : xs) {
    if (x.defined()) defined.push_back(x);
  }
  return defined;
}

}  // namespace

const Tensors& StepPlans::run(const std::string& name, const StepFunction& f, const Tensors& inputs,
                              const Tensors& context) {
  // A plan keeps the kernels it was captured with.
  const std::string key = exact_kernels() ? name + ", exact" : name;
  const Tensors own_context = bound(context);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.key == key && alike(e.inputs, inputs) && alike(e.context, context);
  });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return found->plan->run(defined_ones(inputs));
  }

  const auto captured = [f, own_context, all = shapes_of(inputs)](const Tensors& given) {
    Tensors xs;
    size_t next = 0;
    for (const Tensor& x : all) xs.push_back(x.defined() ? given[next++] : x);
    return f(xs, own_context);
  };
  auto plan = std::make_unique<Plan>(defined_ones(inputs), captured);
  ++captures_;
  entries_.push_front({key, shapes_of(inputs), shapes_of(context), std::move(plan)});
  if (entries_.size() > capacity_) drop_oldest();
  return entries_.front().plan->results();
}

// The context in buffers of our own, which the plans have captured. A weight's buffer is written
// only when the weight has changed, so kernels may keep what they have packed.
Tensors StepPlans::bound(const Tensors& context) {
  Tensors own;
  for (size_t i = 0; i < context.size(); ++i) {
    const Tensor& x = context[i];
    if (!x.defined()) {
      own.emplace_back();
      continue;
    }
    auto buffer = std::find_if(buffers_.begin(), buffers_.end(),
                               [&](const Buffer& b) { return b.place == i && alike(b.own, x); });
    const uint64_t source = x.storage()->id(), version = x.storage()->version();
    if (buffer == buffers_.end()) {
      buffer = buffers_.insert(buffers_.end(), {i, copy(x), source, version, x.without_data()});
    } else if (buffer->source != source || buffer->version != version ||
               buffer->layout.offset() != x.offset() || buffer->layout.strides() != x.strides()) {
      copy_into(buffer->own, x);
      buffer->source = source;
      buffer->version = version;
      buffer->layout = x.without_data();
    }
    own.push_back(buffer->own);
  }
  return own;
}

void StepPlans::drop_oldest() {
  entries_.pop_back();
  buffers_.remove_if([&](const Buffer& b) {
    return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
      return b.place < e.context.size() && alike(e.context[b.place], b.own);
    });
  });
}

StepPlans& StepPlans::of(const std::string& name) {
  return companions_.try_emplace(name, capacity_).first->second;
}

bool StepPlans::first_gradient() { return !std::exchange(gradient_seen_, true); }

int64_t StepPlans::allocations() const {
  int64_t sum = 0;
  for (const Entry& e : entries_) sum += e.plan->pool_allocations();
  for (const auto& [name, plans] : companions_) sum += plans.allocations();
  return sum;
}

size_t StepPlans::bytes() const {
  size_t sum = 0;
  for (const Entry& e : entries_) sum += e.plan->pool_bytes();
  for (const auto& [name, plans] : companions_) sum += plans.bytes();
  return sum;
}

}  // namespace slope::ode
