// StepPlans: plans of the functions that a solve runs again and again, kept from one solve to the
// next. Training runs thousands of solves of the same shapes; each is then a sequence of replays.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "core/plan.h"
#include "core/tensor.h"

namespace slope::ode {

// f(inputs, context); inputs may be undefined. Must own what it refers to: it outlives the solve.
using StepFunction = std::function<Tensors(const Tensors& inputs, const Tensors& context)>;

// Belongs to one field: a plan keeps what the field's code did when it was captured, so its
// branches and host numbers must not change. Its context may: the tensors are copied, when they
// have changed, into buffers that all plans share. Not thread-safe, as no solve is.
class StepPlans {
 public:
  // Keeps at most this many plans; the one that has not run for longest goes. (Steps per sample run
  // at every size of the batch that halving leads to, forward and backward.)
  explicit StepPlans(size_t capacity = 48) : capacity_(capacity) {}

  // f(inputs, context) by replay; captured on first use for this key, these shapes and these
  // defined inputs. The results live until the same plan runs again: clone() to keep.
  const Tensors& run(const std::string& key, const StepFunction& f, const Tensors& inputs,
                     const Tensors& context);

  // True the first time it is asked: the field has not been checked for captured tensors yet.
  bool first_gradient();

  // Plans of another field that is made from this one, by its name: the adjoint's.
  StepPlans& of(const std::string& name);

  size_t size() const { return entries_.size(); }
  int64_t captures() const { return captures_; }
  int64_t allocations() const;  // backend allocations of all plans: does not grow with replays
  size_t bytes() const;         // that all plans hold

 private:
  struct Entry {
    std::string key;
    Tensors inputs;  // what was captured, without data; undefined where they were
    Tensors context;
    std::unique_ptr<Plan> plan;
  };
  struct Buffer {
    size_t place = 0;  // in the context
    Tensor own;
    uint64_t source = 0, version = 0;  // storage and version of what it holds
    Tensor layout;                     // without data
  };
  Tensors bound(const Tensors& context);
  void drop_oldest();

  size_t capacity_;
  std::list<Entry> entries_;  // the last used first
  std::list<Buffer> buffers_;
  std::map<std::string, StepPlans> companions_;
  int64_t captures_ = 0;
  bool gradient_seen_ = false;
};

}  // namespace slope::ode
