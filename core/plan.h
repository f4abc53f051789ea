// Plan: a function captured once and run again without allocation, checks or tape.
//
//   Plan step({t, y, h}, [&](const Tensors& in) { return Tensors{rk_step(dopri5, f, in[0], in[1],
//   in[2]).y1}; }); Tensors out = step.run({t, y, h});
//
// During capture the function runs eagerly, with every allocation from the plan's private pool, so
// buffers are reused exactly as eager execution freed them. What is frozen by nature: branches and
// numbers of the host.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/dispatch.h"
#include "core/storage.h"

namespace slope {

// The list of prepared calls of a plan, for backends that can run it as a whole.
class Program {
 public:
  struct Step {
    std::shared_ptr<Prepared> prepared;
    std::vector<Argument> arguments;
    void* scratch = nullptr;
    std::vector<StorageIdentity*> written;  // their version moves on each run
  };
  std::vector<Step> steps;
};

// True while a plan captures on this thread: values cannot be read, and an inner plan would be
// inlined.
bool capturing();

class Plan {
 public:
  using Function = std::function<Tensors(const Tensors&)>;

  // Captures f at these inputs (the first run). Errors, all PlanError: reading a value inside f;
  // capturing under a tape that hears it; a result that is undefined.
  Plan(const Tensors& inputs, const Function& f);
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  // Copies the inputs into the plan's buffers, replays, and returns the plan's result buffers: they
  // live until the next run (clone() to keep; debug builds poison them). Shapes, dtypes and device
  // must be those of the capture. A tensor that f used besides its inputs (a weight) is read anew
  // on each run, so update it in place; if no tensor has its memory any more, it has been replaced,
  // and run() throws. Throws also when a tape listens: it could not see inside.
  const Tensors& run(const Tensors& inputs);
  // The results of the capture or the last run.
  const Tensors& results() const;

  size_t calls() const;              // prepared calls in one run
  size_t pool_bytes() const;         // memory held
  int64_t pool_allocations() const;  // backend allocations so far: does not grow after capture

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace slope
