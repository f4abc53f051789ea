// Tape: reverse-mode differentiation. A flat list of what was computed, walked backwards.
//
//   Tape tape({w, b});                         // watch these
//   Tensor loss = f(x, w, b);                  // eager; the tape notes ops that touch what it
//   watches Tensors d = tape.gradient(loss, {w, b});   // d[0] like w, d[1] like b
#pragma once

#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/dispatch.h"

namespace slope {

// Hears everything computed on its thread from construction to destruction. Tapes nest; an outer
// tape hears the inner one's gradient(), so gradients of gradients need no extra code.
class Tape final : public Recorder {
 public:
  explicit Tape(const Tensors& watched = {});
  ~Tape() override;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  void watch(const Tensor& x);
  // True for watched tensors and everything computed from them.
  bool tracks(const Tensor& x) const { return tracked_.contains(x.id()); }

  // d(sum(y * g))/dx for each x, with the shape of x; zeros where y does not depend on x. g: shape
  // of y; it may be left out for a scalar y. May be called more than once. Errors: y not scalar and
  // no g; an x that is not tracked; a kept value that has been overwritten since.
  Tensors gradient(const Tensor& y, const Tensors& xs, const Tensor& g = {});
  // For several results: sum over i of sum(ys[i] * gs[i]). An undefined gs[i] counts as zero.
  Tensors gradient(const Tensors& ys, const Tensors& xs, const Tensors& gs);

  void record(const Recorded& recorded) override;
  // Error: a write that would falsify a gradient.
  void before_write(const Call& call) override;
  bool is_tape() const override { return true; }

 private:
  struct Entry;
  std::vector<Entry> entries_;
  std::unordered_set<uint64_t> tracked_;             // tensors
  std::unordered_set<uint64_t> watched_, computed_;  // storages: of watched tensors, of results
  RecorderScope scope_;
};

}  // namespace slope
