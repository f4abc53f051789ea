// Exact kernels: whether kernels may trade accuracy for speed. By default they may, within the band
// that the conformance suite gives them: convolutions on the cpu by Winograd's method err by some
// 3e-6 of the result's size instead of 2e-7. In an ExactScope they may not.
//
// What is prepared or captured in a scope stays exact; so do the gradients of what a tape records
// in one.
#pragma once

namespace slope {

// Whether this thread is in a scope that asks for exact kernels.
bool exact_kernels();

// Asks for them on this thread until its end; `wanted` false changes nothing.
class ExactScope {
 public:
  explicit ExactScope(bool wanted = true);
  ~ExactScope();
  ExactScope(const ExactScope&) = delete;
  ExactScope& operator=(const ExactScope&) = delete;

 private:
  const bool before_;
};

}  // namespace slope
