// FGSM: the size of its step, the range it stays in, whose gradient it follows.
#include "nn/attack/fgsm.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

constexpr Range kAnywhere{-std::numeric_limits<double>::infinity(),
                          std::numeric_limits<double>::infinity()};

// Three classes of five values; the logits do not depend on value 2.
Tensor weights() {
  Values w = mixed({3, 5}, Dtype::f64).values();
  for (size_t k = 0; k < 3; ++k) w[5 * k + 2] = 0;
  return tensor(w, {3, 5}, Dtype::f64);
}
Tensor logits(const Tensor& x) { return linear(x, weights()); }
Tensor inputs() { return mixed({4, 5}, Dtype::f64, 2) * 0.25 + 0.5; }  // in [0, 1)
Tensor labels() { return from_host(std::vector<int32_t>{2, 0, 1, 1}, {4}); }
Tensor attacked(const FgsmOptions& options) {
  Target target(logits);
  return fgsm(target, {.x = inputs(), .labels = labels()}, options);
}

}  // namespace

TEST_CASE("input_gradient: of each sample's own loss") {
  const Tensor x = inputs(), all = input_gradient(logits, x, labels());
  check_close(
      all,
      numeric_gradient(
          [](const Tensor& at) {
            return cross_entropy(logits(at), labels(), {.reduction = Reduction::sum}).item();
          },
          x),
      1e-9);
  for (int64_t i = 0; i < 4; ++i) {
    const Tensor one = input_gradient(logits, slice(x, 0, i, i + 1), slice(labels(), 0, i, i + 1));
    check_close(one, slice(all, 0, i, i + 1).values(), 1e-15);
  }
}

TEST_CASE("fgsm: every value with a gradient moves by eps along its sign, the others stay") {
  const double eps = 0.0625;  // a sum with it is exact here
  const Tensor x = inputs(), g = input_gradient(logits, x, labels());
  const Values before = x.values(), slope = g.values(), after = attacked({eps, kAnywhere}).values();
  for (size_t i = 0; i < before.size(); ++i) {
    CAPTURE(i);
    const double step = i % 5 == 2 ? 0 : std::copysign(eps, slope[i]);
    CHECK((slope[i] == 0) == (i % 5 == 2));
    CHECK(after[i] - before[i] == step);
  }
  const auto loss = [](const Tensor& at) { return cross_entropy(logits(at), labels()).item(); };
  CHECK(loss(tensor(after, {4, 5}, Dtype::f64)) > loss(x) + 0.05);
}

TEST_CASE("fgsm: stays in the range of the data") {
  const Tensor x = inputs();
  const Values before = x.values(), free = attacked({0.3, kAnywhere}).values(),
               pixels = attacked({.eps = 0.3}).values();
  int clipped = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    CHECK(pixels[i] == std::clamp(free[i], 0.0, 1.0));
    clipped += pixels[i] != free[i];
  }
  CHECK(clipped >= 2);
  CHECK(attacked({.eps = 0}).values() == before);
}

TEST_CASE("fgsm: what it refuses") {
  CHECK(message_of<ValueError>([] { attacked({.eps = -0.1}); }) ==
        "fgsm: eps must not be negative, got -0.1.");
  CHECK(message_of<ValueError>([] { attacked({.eps = NAN}); }) ==
        "fgsm: eps must not be negative, got nan.");
  const std::string text = message_of<DtypeError>([] {
    Target target(logits);
    fgsm(target, {.x = inputs(), .labels = cast(labels(), Dtype::f64)}, {.eps = 0.1});
  });
  CHECK(contains(text, "int32"));
}
