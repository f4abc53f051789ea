// A small network that has all that a training step looks after: weights, running statistics, and
// random keys.
#pragma once

#include "core/ops.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace slope::test {

// Points in the plane to two classes, with batch norm and, where asked, dropout.
class PointNetwork final : public nn::Layer {
 public:
  explicit PointNetwork(Rng& rng, double drop = 0)
      : drop_(drop),
        first_({.in = 2, .out = 32}, rng),
        norm_({.channels = 32, .activation = Activation::relu}),
        last_({.in = 32, .out = 2}, rng) {
    add_child("first", first_);
    add_child("norm", norm_);
    add_child("last", last_);
  }
  Tensor forward(const Tensor& x, nn::Pass& pass) const override {
    Tensor y = norm_.forward(first_.forward(x, pass), pass);
    if (drop_ > 0 && pass.training) y = dropout(y, drop_, pass.next_key());
    return last_.forward(y, pass);
  }
  std::string describe() const override { return "PointNetwork"; }

 protected:
  int64_t own_key_count() const override { return drop_ > 0 ? 1 : 0; }

 private:
  double drop_;
  nn::Linear first_;
  nn::BatchNorm norm_;
  nn::Linear last_;
};

}  // namespace slope::test
