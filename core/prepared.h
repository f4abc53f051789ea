// How a backend writes its kernels down: a prepared call made from a lambda.
#pragma once

#include <memory>
#include <utility>

#include "core/backend.h"

namespace slope {

// run: (const Argument* arguments, void* scratch). It captures what it needs of the call by value:
// shapes, strides, attributes.
template <typename F>
class PreparedFunction final : public Prepared {
 public:
  PreparedFunction(F run, size_t scratch) : run_(std::move(run)), scratch_(scratch) {}
  size_t scratch_bytes() const override { return scratch_; }
  void run(const Argument* arguments, void* scratch) override { run_(arguments, scratch); }

 private:
  F run_;
  size_t scratch_;
};
template <typename F>
std::unique_ptr<Prepared> prepared(F run, size_t scratch_bytes = 0) {
  return std::make_unique<PreparedFunction<F>>(std::move(run), scratch_bytes);
}

// Typed access to an argument's memory.
template <typename T>
T* data(const Argument& argument) {
  return static_cast<T*>(argument.data);
}

}  // namespace slope
