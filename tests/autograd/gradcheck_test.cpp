// The gradient check: passes what is right, fails what is slightly wrong, and says why.
#include "autograd/gradcheck.h"

#include <doctest/doctest.h>

#include <string>

#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using test::mixed;
using test::on_every_device;

namespace {

Tensors network(const Tensors& in) {
  return {mean(square(tanh(linear(in[0], in[1], in[2]))), {1}), sum(in[0] * in[0])};
}

// tanh whose rule is off by `factor`; the rule's own gradient follows from it.
Function tanh_off_by(double factor) {
  return [factor](const Tensors& xs) {
    return custom(
        "tanh", xs, [](const Tensors& in) { return Tensors{tanh(in[0])}; },
        [factor](const CustomVjp& v) {
          const Tensor y = tanh(v.inputs[0]);
          return Tensors{v.cotangents[0] * (1.0 - y * y) * factor};
        });
  };
}

}  // namespace

TEST_CASE("gradcheck: passes right gradients of first and second order") {
  on_every_device([] {
    const Tensors xs = {mixed({4, 3}, Dtype::f64), mixed({5, 3}, Dtype::f64, 1),
                        mixed({5}, Dtype::f64, 2)};
    for (const uint64_t seed : {0, 1, 2}) {
      const GradcheckResult first = gradcheck(network, xs, {.seed = seed});
      CHECK_MESSAGE(first.passed, first.message);
      const GradcheckResult second = gradcheck_second(network, xs, {.seed = seed});
      CHECK_MESSAGE(second.passed, second.message);
      CHECK(first.tape != 0);
    }
    CHECK(gradcheck(tanh_off_by(1), {mixed({7}, Dtype::f64)}));
  });
}

TEST_CASE("gradcheck: fails a rule that is off by 1e-4, and shows both numbers") {
  const Tensor x = mixed({7}, Dtype::f64);
  const GradcheckResult r = gradcheck(tanh_off_by(1.0001), {x});
  CHECK_FALSE(r);
  CHECK(r.message.find("along a random direction the tape gives") != std::string::npos);
  CHECK(std::abs(r.tape - r.numeric) == doctest::Approx(1e-4 * std::abs(r.numeric)).epsilon(1e-3));
}

TEST_CASE("gradcheck: fails a gradient that is missing or not a number") {
  const auto with_rule = [](const CustomRule& rule) {
    return [rule](const Tensors& xs) {
      return custom(
          "exp", xs, [](const Tensors& in) { return Tensors{exp(in[0])}; }, rule);
    };
  };
  const Tensor x = mixed({3}, Dtype::f64);
  CHECK_FALSE(gradcheck(with_rule([](const CustomVjp&) { return Tensors(1); }), {x}));
  CHECK_FALSE(gradcheck(
      with_rule([](const CustomVjp& v) { return Tensors{log(v.cotangents[0] * 0.0 - 1.0)}; }),
      {x}));
  // A second gradient that is cut off: the rule uses a copy that no tape has seen.
  CHECK_FALSE(gradcheck_second(with_rule([](const CustomVjp& v) {
                                 const Tensor cut = tensor(v.outputs[0].values(), {3}, Dtype::f64);
                                 return Tensors{v.cotangents[0] * cut};
                               }),
                               {x}));
}

TEST_CASE("gradcheck: float32 is refused") {
  const Function twice = [](const Tensors& in) { return Tensors{in[0] * 2}; };
  CHECK_THROWS_WITH_AS(gradcheck(twice, {mixed({3}, Dtype::f64), mixed({3}, Dtype::f32)}),
                       "gradcheck: x 1 is (3) float32; central differences need float64. Write "
                       "cast(x, Dtype::f64).",
                       DtypeError);
  CHECK_THROWS_WITH_AS(
      gradcheck([](const Tensors& in) { return Tensors{cast(in[0], Dtype::f32)}; },
                {mixed({3}, Dtype::f64)}),
      "gradcheck: f returned (3) float32; central differences need float64 throughout.",
      DtypeError);
}

TEST_CASE("gradcheck: integer outputs are left out") {
  const Function f = [](const Tensors& in) { return Tensors{argmax(in[0], 0), square(in[0])}; };
  CHECK(gradcheck(f, {mixed({5}, Dtype::f64)}));
  CHECK(gradcheck_second(f, {mixed({5}, Dtype::f64)}));
}
