// value_and_grad, vjp, custom functions and recomputation.
#include "autograd/functions.h"

#include <doctest/doctest.h>

#include <cstring>

#include "core/ops.h"
#include "core/plan.h"
#include "core/storage.h"
#include "tests/autograd/counting.h"
#include "tests/core/test_values.h"

using namespace slope;
using test::mixed;
using test::on_every_device;
using test::OpCounter;
using test::Values;

namespace {

Tensor f64(std::initializer_list<double> values) { return tensor(values, Dtype::f64); }

// x * x with a rule that says so, or what it is told to say.
Tensors squared(const Tensors& xs, const CustomRule& rule = nullptr) {
  return custom(
      "squared", xs, [](const Tensors& in) { return Tensors{in[0] * in[0]}; },
      rule ? rule : [](const CustomVjp& v) { return Tensors{v.cotangents[0] * v.inputs[0] * 2}; });
}

}  // namespace

TEST_CASE("value_and_grad and vjp") {
  on_every_device([] {
    const Tensor x = f64({1, 2, 3}), w = f64({4, 5, 6});
    const ValueAndGradient r =
        value_and_grad([](const Tensors& in) { return sum(in[0] * in[1]); }, {x, w});
    CHECK(r.value.item() == 32);
    CHECK(r.gradient[0].values() == w.values());
    CHECK(r.gradient[1].values() == x.values());
    CHECK_THROWS_AS(value_and_grad([](const Tensors& in) { return in[0] * 2; }, {x}), ShapeError);

    const Function two = [](const Tensors& in) { return Tensors{square(in[0]), in[0] * in[1]}; };
    const VjpResult both = vjp(two, {x, w}, {f64({1, 0, 0}), f64({0, 1, 0})});
    CHECK(both.outputs[1].values() == Values{4, 10, 18});
    CHECK(both.gradients[0].values() == Values{2, 5, 0});
    CHECK(both.gradients[1].values() == Values{0, 2, 0});
    const VjpResult one = vjp(two, {x, w}, {Tensor(), f64({0, 1, 0})});
    CHECK(one.gradients[0].values() == Values{0, 5, 0});
  });
}

TEST_CASE("custom: the rule is used, and only where a tape listens") {
  on_every_device([] {
    const Tensor x = f64({3, -1});
    int calls = 0;
    const CustomRule rule = [&calls](const CustomVjp& v) {
      ++calls;
      CHECK(v.wanted == std::vector<bool>{true});
      CHECK_FALSE(v.differentiable);
      CHECK(v.outputs[0].values() == Values{9, 1});
      return Tensors{v.cotangents[0] * 100};
    };
    CHECK(squared({x}, rule)[0].values() == Values{9, 1});
    CHECK(calls == 0);
    Tape tape({x});
    const Tensor y = sum(squared({x}, rule)[0] * 2);
    CHECK(tape.gradient(y, {x})[0].values() == Values{200, 200});
    CHECK(calls == 1);
  });
}

TEST_CASE("custom: a rule made of ops can be differentiated again") {
  const Tensor x = scalar(3, Dtype::f64);
  Tape outer({x});
  Tape inner({x});
  const Tensor d = inner.gradient(squared({x})[0] * x, {x})[0];
  CHECK(d.item() == 27);                          // 3 x^2
  CHECK(outer.gradient(d, {x})[0].item() == 18);  // 6 x
}

TEST_CASE("custom: an output that nothing flows to has no cotangent") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensors ys = custom(
      "pair", {x},
      [](const Tensors& in) {
        return Tensors{in[0] + 1.0, in[0] * 2};
      },
      [](const CustomVjp& v) {
        CHECK(v.cotangents.size() == 2);
        CHECK_FALSE(v.cotangents[0].defined());
        return Tensors{v.cotangents[1] * 2};
      });
  CHECK(tape.gradient(sum(ys[1]), {x})[0].values() == Values{2, 2});
}

TEST_CASE("custom: a watched tensor that is not an input is an error, not a lost gradient") {
  const Tensor x = f64({1, 2}), w = f64({3, 4});
  const Function uses_w = [&w](const Tensors& in) { return Tensors{in[0] * w}; };
  const CustomRule rule = [&w](const CustomVjp& v) { return Tensors{v.cotangents[0] * w}; };
  CHECK(custom("scale", {x}, uses_w, rule)[0].values() == Values{3, 8});  // no tape, no harm
  {
    Tape only_x({x});
    CHECK(only_x.gradient(sum(custom("scale", {x}, uses_w, rule)[0]), {x})[0].values() ==
          Values{3, 4});
  }
  Tape tape({x, w});
  CHECK_THROWS_WITH_AS(custom("scale", {x}, uses_w, rule),
                       "scale: uses a watched tensor (2) that is not among its inputs, so its "
                       "gradient would be lost. Pass it as an input.",
                       LeakError);
  w.storage()->set_label("field.w");
  try {
    custom("scale", {x}, uses_w, rule);
    FAIL("no error");
  } catch (const LeakError& error) {
    CHECK(error.tensor == "(2) (field.w)");
    CHECK(std::string(error.what()) ==
          "scale: uses a watched tensor (2) (field.w) that is not among its inputs, so its "
          "gradient would be lost. Pass it as an input.");
  }
  // The tape is as it was.
  CHECK(tape.gradient(sum(x * w), {x})[0].values() == Values{3, 4});
  // What was computed from a watched tensor leaks as well.
  const Tensor from_w = w * 2;
  CHECK_THROWS_AS(
      custom(
          "scale", {x}, [&](const Tensors& in) { return Tensors{in[0] * from_w}; }, rule),
      LeakError);
}

TEST_CASE("custom: forward may return one of its inputs") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensor y = custom(
      "straight_through", {x}, [](const Tensors& in) { return Tensors{in[0]}; },
      [](const CustomVjp& v) { return Tensors{v.cotangents[0] * 7}; })[0];
  CHECK(tape.gradient(sum(y), {x})[0].values() == Values{7, 7});
  CHECK(tape.gradient(sum(x), {x})[0].values() == Values{1, 1});  // x itself goes no detour
}

TEST_CASE("custom: a rule that returns the wrong number of gradients") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensor y = sum(squared({x}, [](const CustomVjp&) { return Tensors(); })[0]);
  CHECK_THROWS_WITH_AS(tape.gradient(y, {x}),
                       "custom squared: the rule returned 0 gradients for 1 inputs.", ValueError);
}

TEST_CASE("custom: an undefined gradient is zero") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensor y = sum(squared({x}, [](const CustomVjp&) { return Tensors{Tensor()}; })[0]);
  CHECK(tape.gradient(y, {x})[0].values() == Values{0, 0});
}

TEST_CASE("recompute: the same bits as the function itself, forward and backward") {
  on_every_device([] {
    const Tensor x = mixed({5, 7}, Dtype::f32), w = mixed({7, 7}, Dtype::f32, 1);
    const Function f = [](const Tensors& in) {
      Tensor h = in[0];
      for (int i = 0; i < 4; ++i) h = tanh(matmul(h, in[1]) + h);
      return Tensors{h};
    };
    const Tensor g = mixed({5, 7}, Dtype::f32, 2);
    const VjpResult plain = vjp(f, {x, w}, {g});
    const VjpResult again = vjp([&](const Tensors& in) { return recompute(f, in); }, {x, w}, {g});
    CHECK(again.outputs[0].values() == plain.outputs[0].values());
    CHECK(again.gradients[0].values() == plain.gradients[0].values());
    CHECK(again.gradients[1].values() == plain.gradients[1].values());
  });
}

TEST_CASE("recompute: keeps only the inputs") {
  const Device here = default_device();
  const Tensor x = mixed({1000}, Dtype::f64);
  const Function f = [](const Tensors& in) {
    Tensor h = in[0];
    for (int i = 0; i < 20; ++i) h = sin(h);  // sin keeps its argument
    return Tensors{h};
  };
  const auto bytes_kept = [&](bool with_recompute) {
    const size_t before = memory_statistics(here).live_bytes;
    Tape tape({x});
    const Tensor y = with_recompute ? recompute(f, {x})[0] : f({x})[0];
    return memory_statistics(here).live_bytes - before;
  };
  CHECK(bytes_kept(false) > 19 * 8000);
  CHECK(bytes_kept(true) < 3 * 8192);
}

TEST_CASE("recompute: second derivatives, and the work it costs") {
  const Tensor x = scalar(0.4, Dtype::f64);
  const Function f = [](const Tensors& in) { return Tensors{sin(in[0])}; };
  Tape outer({x});
  Tape inner({x});
  OpCounter counter;
  const Tensor d = inner.gradient(recompute(f, {x})[0], {x})[0];
  CHECK(counter["sin"] == 2);
  CHECK(outer.gradient(d, {x})[0].item() == doctest::Approx(-std::sin(0.4)).epsilon(1e-14));
}
