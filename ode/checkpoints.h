// Checkpoints: the states of a solve that its gradient keeps when memory holds only some of them,
// and how the others are computed again on the way back.
//
// With s states kept at a time and r repetitions of a step, beta(s, r) = (s + r)! / (s! r!) steps
// can be walked back over: the binomial schedule, which needs the fewest repeated steps of all
// (Griewank and Walther, Algorithm 799: revolve, ACM TOMS 26, 2000). Where the number of steps is
// known, the way forward keeps the states that this schedule begins with. An adaptive solve does
// not know it: there, whenever memory is full, the state goes whose absence makes the way back over
// the steps so far cheapest.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/tensor.h"

namespace slope::ode {

// Steps that have to be repeated on the way back over `steps` steps with `slots` states at a time.
// Only the first state is there yet:
int64_t repeated_steps(int64_t steps, int64_t slots);
// A first way over the steps has kept the best states:
int64_t repeated_steps_after_a_sweep(int64_t steps, int64_t slots);

// The steps, counted from 0, at whose beginning a way over `steps` of them had best keep the state;
// the first is 0, and there are at most `slots`.
std::vector<size_t> steps_to_keep(size_t steps, size_t slots);

class KeptStates {
 public:
  // most: states at a time, those that a step is working on not counted; 0: all there are.
  explicit KeptStates(int64_t most = 0) : most_(static_cast<size_t>(most)) {}

  // The way forward. A solve with fixed steps says how many it will take.
  void expect(size_t steps);
  // Whether the state at the beginning of a step should last until it is offered.
  bool wants(size_t step) const;
  // The state at the beginning of a step, each in turn.
  void offer(size_t step, const Tensors& state);
  // The gradient will be that of the first steps alone.
  void cut(size_t steps);

  // The way back: the state at the beginning of a step, asked for from the last step to the first;
  // with a limit, those of later steps are forgotten. advance: makes one step; `lasting` if its
  // result will be kept.
  using Advance = std::function<Tensors(size_t step, const Tensors& state, bool lasting)>;
  Tensors at(size_t step, const Advance& advance);

  int64_t most_kept() const { return static_cast<int64_t>(most_kept_); }  // at any time so far
  int64_t repeated() const { return repeated_; }                          // steps so far

 private:
  struct Kept {
    size_t step;  // at whose beginning
    Tensors state;
  };
  void keep(size_t step, const Tensors& state);
  size_t most_dispensable(size_t steps) const;

  size_t most_;
  std::vector<size_t> chosen_ = {};  // where the number of steps is known
  bool known_ = false;
  std::vector<Kept> kept_ = {};  // in the order of the steps
  size_t most_kept_ = 0;
  int64_t repeated_ = 0;
};

}  // namespace slope::ode
