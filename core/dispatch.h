// Dispatch: how an op runs, and the one hook through which tapes, plans and profilers see it.
#pragma once

#include <memory>
#include <span>

#include "core/op.h"

namespace slope {

// Runs an op: checks, prepares (or takes a prepared call), allocates, runs, tells every recorder.
// Returns the visible outputs. Throws before anything is written; a failed op leaves no tensor
// half-written.
Tensors apply_all(const Op& op, std::span<const Tensor> inputs, const Attributes& attributes = {});
inline Tensors apply_all(const Op& op, std::initializer_list<Tensor> inputs,
                         const Attributes& attributes = {}) {
  return apply_all(op, std::span(inputs.begin(), inputs.size()), attributes);
}
// The same for ops with one visible output.
Tensor apply(const Op& op, std::span<const Tensor> inputs, const Attributes& attributes = {});
inline Tensor apply(const Op& op, std::initializer_list<Tensor> inputs,
                    const Attributes& attributes = {}) {
  return apply(op, std::span(inputs.begin(), inputs.size()), attributes);
}

// What a recorder sees of a call.
struct Recorded {
  const Call& call;
  std::span<const Tensor> outputs;            // hidden ones included
  const std::shared_ptr<Prepared>& prepared;  // null for views and custom functions
  const std::shared_ptr<Storage>& scratch;    // null when none is needed
};

// Sees each call made on its thread while it is on the stack.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void record(const Recorded& recorded) = 0;
  // Before an op writes into an argument; a tape may throw.
  virtual void before_write(const Call&) {}
  // A tensor made from host values: a plan must keep it.
  virtual void constant(const Tensor&) {}
  // Before host code reads values; a plan throws. `what` is e.g. "item()".
  virtual void host_read(const char* /*what*/) {}
  virtual bool is_tape() const { return false; }
  bool deaf() const { return deaf_ > 0; }

 private:
  friend class Deafen;
  friend class MuteTapes;
  int deaf_ = 0;
};

// The recorders of this thread, outermost first.
const std::vector<Recorder*>& recorders();
// Puts a recorder on the stack for a scope. (A Tape does it for itself.)
class RecorderScope {
 public:
  explicit RecorderScope(Recorder& recorder);
  ~RecorderScope();
  RecorderScope(const RecorderScope&) = delete;
  RecorderScope& operator=(const RecorderScope&) = delete;

 private:
  Recorder* recorder_;
};
// One recorder hears nothing for a scope.
class Deafen {
 public:
  explicit Deafen(Recorder& recorder) : recorder_(recorder) { ++recorder_.deaf_; }
  ~Deafen() { --recorder_.deaf_; }
  Deafen(const Deafen&) = delete;
  Deafen& operator=(const Deafen&) = delete;

 private:
  Recorder& recorder_;
};
// The tapes that are on the stack now hear nothing for a scope; plans and tapes made inside it do.
class MuteTapes {
 public:
  MuteTapes();
  ~MuteTapes();
  MuteTapes(const MuteTapes&) = delete;
  MuteTapes& operator=(const MuteTapes&) = delete;

 private:
  std::vector<Recorder*> muted_;
};
// True when some tape hears what is computed now.
bool tape_listens();
// Tells recorders about a call that has no kernel (custom functions).
void announce(const Call& call, std::span<const Tensor> outputs);

// The message of an op that a backend lacks and that has no decomposition.
[[noreturn]] void throw_no_kernel(const Call& call);

// "x (32, 784) float32, w (10, 784) float32": the arguments of a message, by the names given.
std::string describe_arguments(const Call& call, std::initializer_list<const char*> names);
// Checks used by many shape rules. They throw DtypeError with the op's name and every argument.
void check_float(const Call& call, std::initializer_list<const char*> names, int first = 0,
                 int last = 99);
void check_same_dtype(const Call& call, std::initializer_list<const char*> names);

}  // namespace slope
