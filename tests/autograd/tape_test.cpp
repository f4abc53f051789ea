// The tape: what it adds up, what it leaves out, and what it says when it cannot know.
#include "autograd/tape.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/ops.h"
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
Tensor number(double value) { return scalar(value, Dtype::f64); }

}  // namespace

TEST_CASE("tape: a value used twice gets both gradients") {
  on_every_device([] {
    const Tensor x = f64({1, 2, 3});
    Tape tape({x});
    const Tensor a = x * 2, b = sin(x);
    const Tensor y = sum(a * b + a);
    const Values expected = {2 * std::sin(1.0) + 2 * std::cos(1.0) + 2,
                             2 * std::sin(2.0) + 4 * std::cos(2.0) + 2,
                             2 * std::sin(3.0) + 6 * std::cos(3.0) + 2};
    test::check_close(tape.gradient(y, {x})[0], expected, 1e-14);
  });
}

TEST_CASE("tape: one tensor as both arguments of an op") {
  on_every_device([] {
    const Tensor x = f64({3, -2});
    Tape tape({x});
    CHECK(tape.gradient(sum(x * x), {x})[0].values() == Values{6, -4});
    CHECK(tape.gradient(sum(x - x), {x})[0].values() == Values{0, 0});
    CHECK(tape.gradient(sum(x / x), {x})[0].values() == Values{0, 0});
    const Tensor w = mixed({3, 3}, Dtype::f64);
    tape.watch(w);
    const Tensor d = tape.gradient(sum(matmul(w, w)), {w})[0];
    const Tensor one = ones({3, 3}, Dtype::f64);
    test::check_close(
        d, (matmul(one, w, {.transpose_b = true}) + matmul(w, one, {.transpose_a = true})).values(),
        1e-14);
  });
}

TEST_CASE("tape: the same tensor asked for twice, and a sum over several results") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensor y = square(x), z = x * 3;
  const Tensors d = tape.gradient({y, z, y}, {x, x}, {f64({1, 1}), f64({10, 10}), f64({5, 0})});
  CHECK(d[0].values() == Values{2 * 6 + 30, 4 * 1 + 30});
  CHECK(d[1].values() == d[0].values());
  // An undefined cotangent counts as zero, and so do missing ones.
  CHECK(tape.gradient({y, z}, {x}, {Tensor(), f64({1, 1})})[0].values() == Values{3, 3});
  CHECK(tape.gradient({y, z}, {x}, {f64({1, 1}), Tensor()})[0].values() == Values{2, 4});
  CHECK(tape.gradient(Tensors{y}, {x}, Tensors{Tensor()})[0].values() == Values{0, 0});
}

TEST_CASE("tape: broadcast arguments get the sum of their uses, in their own shape") {
  on_every_device([] {
    const Tensor a = mixed({2, 3}, Dtype::f64), row = mixed({3}, Dtype::f64, 1),
                 column = mixed({2, 1}, Dtype::f64, 2), one = number(0.5);
    Tape tape({a, row, column, one});
    const Tensors d = tape.gradient(sum((a + row) * column * one), {a, row, column, one});
    const Values av = a.values(), r = row.values(), c = column.values();
    CHECK(d[0].shape() == Shape{2, 3});
    CHECK(d[1].shape() == Shape{3});
    CHECK(d[2].shape() == Shape{2, 1});
    CHECK(d[3].shape() == Shape{});
    const double both = (c[0] + c[1]) / 2;
    test::check_close(d[1], {both, both, both}, 1e-15);
    double first = 0, second = 0;
    for (size_t i = 0; i < 3; ++i) {
      first += av[i] + r[i];
      second += av[3 + i] + r[i];
    }
    test::check_close(d[2], {first / 2, second / 2}, 1e-14);
    test::check_close(d[3], {first * c[0] + second * c[1]}, 1e-14);
  });
}

TEST_CASE("tape: y may be x, and y need not depend on x") {
  const Tensor x = f64({2, 3}), other = f64({5});
  Tape tape({x, other});
  CHECK(tape.gradient(x, {x}, f64({7, 8}))[0].values() == Values{7, 8});
  const Tensors d = tape.gradient(sum(x * x), {x, other});
  CHECK(d[1].values() == Values{0});
  CHECK(d[1].shape() == Shape{1});
  // Comparisons, integers and constants carry nothing.
  CHECK(tape.gradient(sum(x > 2.5), {x})[0].values() == Values{0, 0});
  CHECK(tape.gradient(number(4), {x})[0].values() == Values{0, 0});
  CHECK_FALSE(tape.tracks(x > 2.5));
  CHECK(tape.tracks(x + 1.0));
  CHECK_FALSE(tape.tracks(number(4) + 1.0));
}

TEST_CASE("tape: an intermediate value can be asked for, and ends the walk for nobody else") {
  const Tensor x = f64({1, 2});
  Tape tape({x});
  const Tensor h = square(x);
  const Tensor y = sum(h * h);
  const Tensors d = tape.gradient(y, {h, x});
  CHECK(d[0].values() == Values{2, 8});
  CHECK(d[1].values() == Values{4, 32});
}

TEST_CASE("tape: gradient may be called again, with the same result") {
  const Tensor x = mixed({4, 5}, Dtype::f32);
  Tape tape({x});
  const Tensor y = sum(tanh(x) * x);
  const Values first = tape.gradient(y, {x})[0].values();
  CHECK(tape.gradient(y, {x})[0].values() == first);
  CHECK(tape.gradient(y * 2, {x})[0].values() != first);  // recorded after the first gradient
}

TEST_CASE("tape: only gradients that are wanted are computed") {
  const Tensor x = mixed({8, 6}, Dtype::f32), w = mixed({5, 6}, Dtype::f32, 1);
  Tape tape({x, w});
  const Tensor y = sum(matmul(x, w, {.transpose_b = true}));
  OpCounter both;
  tape.gradient(y, {x, w});
  CHECK(both["matmul"] == 2);
  OpCounter one;
  tape.gradient(y, {x});
  CHECK(one["matmul"] == 1);
  // What only an unwatched tensor depends on is not even recorded.
  OpCounter none;
  const Tensor aside = sin(mixed({3}, Dtype::f32));
  const int before = none.total();
  tape.gradient(sum(aside), {x});
  CHECK(none["sin_dx"] == 0);
  CHECK(none["cos"] == 0);
  CHECK(none.total() > before);
}

TEST_CASE("tape: a branch that does not lead to x is not differentiated") {
  const Tensor image = mixed({2, 3}, Dtype::f64), weight = mixed({2, 3}, Dtype::f64, 1);
  Tape tape({image, weight});
  const Tensor y = sum(image * exp(weight));
  OpCounter counter;
  tape.gradient(y, {image});
  CHECK(counter["exp_dx"] == 0);
  CHECK(counter["mul"] + counter["mul_da"] == 1);
}

TEST_CASE("tape: values the rules do not read are not kept") {
  const Device here = default_device();
  const Tensor x = mixed({1000}, Dtype::f64);
  const size_t before = memory_statistics(here).live_bytes;
  Tape tape({x});
  Tensor y = x;
  for (int i = 0; i < 50; ++i) y = y * 1.01;  // the rule reads nothing
  CHECK(memory_statistics(here).live_bytes - before < 4 * 8192);
  for (int i = 0; i < 50; ++i) y = exp(y) * 1e-3;  // keeps each result
  CHECK(memory_statistics(here).live_bytes - before > 40 * 8000);
}

TEST_CASE("tape: nested tapes give second and third derivatives") {
  on_every_device([] {
    for (const double at : {0.3, -1.2}) {
      const Tensor x = number(at);
      Tape outer({x});
      Tensor second;
      {
        Tape middle({x});
        Tensor first;
        {
          Tape inner({x});
          first = inner.gradient(exp(x) * sin(x), {x})[0];
        }
        second = middle.gradient(first, {x})[0];
      }
      const Tensor third = outer.gradient(second, {x})[0];
      CHECK(second.item() == doctest::Approx(2 * std::exp(at) * std::cos(at)).epsilon(1e-12));
      CHECK(third.item() ==
            doctest::Approx(2 * std::exp(at) * (std::cos(at) - std::sin(at))).epsilon(1e-12));
    }
  });
}

TEST_CASE("tape: second derivatives of exp, sin and a composite") {
  const auto second = [](Tensor (*f)(const Tensor&), double at) {
    const Tensor x = number(at);
    Tape outer({x});
    Tape inner({x});
    const Tensor first = inner.gradient(f(x), {x})[0];
    return outer.gradient(first, {x})[0].item();
  };
  CHECK(second(exp, 0.7) == doctest::Approx(std::exp(0.7)).epsilon(1e-14));
  CHECK(second(sin, 0.7) == doctest::Approx(-std::sin(0.7)).epsilon(1e-14));
  CHECK(second(neg, 0.7) == 0);
  const double t = std::tanh(0.49), s = 1 - t * t;  // tanh(x^2): 2 s - 8 x^2 t s
  CHECK(second([](const Tensor& x) { return tanh(square(x)); }, 0.7) ==
        doctest::Approx(2 * s - 8 * 0.49 * t * s).epsilon(1e-13));
}

TEST_CASE("tape: it is deaf during its own gradient, and an outer tape is not") {
  const Tensor x = number(2);
  Tape outer({x});
  Tape inner({x});
  const Tensor y = x * x * x;
  const Tensor d = inner.gradient(y, {x})[0];
  CHECK_FALSE(inner.tracks(d));
  CHECK(outer.tracks(d));
  CHECK_FALSE(inner.deaf());
  CHECK_THROWS_AS(inner.gradient(d, {y + 1.0 - 1.0, scalar(1, Dtype::f64)}), ValueError);
  CHECK_FALSE(inner.deaf());  // after an error too
  CHECK(outer.gradient(d, {x})[0].item() == 12);
}

TEST_CASE("tape: views carry gradients") {
  on_every_device([] {
    const Tensor x = mixed({3, 4}, Dtype::f64);
    Tape tape({x});
    const Tensor y = sum(square(slice(transpose(x), 0, 1, 4, 2)));
    Values expected = x.values();
    for (size_t i = 0; i < expected.size(); ++i) expected[i] *= i % 4 == 1 || i % 4 == 3 ? 2 : 0;
    test::check_close(tape.gradient(y, {x})[0], expected, 1e-15);
    const Tensor z = sum(expand(reshape(x, {12, 1}), {12, 5}));
    test::check_close(tape.gradient(z, {x})[0], Values(12, 5.0), 0);
  });
}

TEST_CASE("tape: messages") {
  const Tensor x = mixed({32, 10}, Dtype::f32), loose = mixed({3}, Dtype::f32);
  Tape tape({x});
  const Tensor y = x * 2;
  CHECK_THROWS_WITH_AS(tape.gradient(y, {x}),
                       "gradient: y (32, 10) float32 is not a scalar. Take mean(y), or pass its "
                       "gradient: tape.gradient(y, xs, g).",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.gradient(sum(y), {loose}),
                       "gradient: x (3) float32 was not watched by this tape, so its gradient is "
                       "unknown. Write Tape tape({x}).",
                       ValueError);
  CHECK_THROWS_WITH_AS(tape.gradient(y, {x}, loose),
                       "gradient: y is (32, 10) float32, its gradient g (3) float32. They must "
                       "have the same shape and dtype.",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.watch(tensor({1, 2}, Dtype::i32)),
                       "tape: cannot watch (2) int32: only float32 and float64 have gradients.",
                       DtypeError);
}

TEST_CASE("tape: a kept value that has been overwritten is an error") {
  on_every_device([] {
    const Tensor w = mixed({4}, Dtype::f32), x = mixed({4}, Dtype::f32, 1);
    Tape tape({w, x});
    const Tensor y = sum(w * x);
    copy_into(w, zeros({4}));
    CHECK_THROWS_WITH_AS(tape.gradient(y, {x}),
                         "gradient: a value kept for the gradient of mul, (4) float32, has been "
                         "overwritten since. Take the gradient before writing in place.",
                         ValueError);
    w.storage()->set_label("stem.weight");
    CHECK_THROWS_WITH_AS(
        tape.gradient(y, {x}),
        "gradient: a value kept for the gradient of mul, (4) float32 (stem.weight), has been "
        "overwritten since. Take the gradient before writing in place.",
        ValueError);
    // A rule that reads nothing does not mind, and neither does a value kept by its shape only.
    const Tensor v = mixed({4}, Dtype::f32), z = sum(v + x);
    tape.watch(v);
    const Tensor again = sum(v + x);
    copy_into(v, zeros({4}));
    CHECK(tape.gradient(again, {v})[0].values() == Values{1, 1, 1, 1});
    CHECK(z.defined());
  });
}

TEST_CASE("tape: a view written through its base is noticed") {
  const Tensor base = mixed({2, 4}, Dtype::f64), x = mixed({4}, Dtype::f64, 1);
  const Tensor row = slice(base, 0, 1, 2).reshape({4});
  Tape tape({x});
  const Tensor y = sum(x * row);
  copy_into(base, zeros({2, 4}, Dtype::f64));
  CHECK_THROWS_AS(tape.gradient(y, {x}), ValueError);
}

TEST_CASE("tape: what is computed outside of its life is unknown to it") {
  const Tensor x = number(3);
  const Tensor before = x * x;
  Tape tape({x});
  const Tensor y = before + x;
  CHECK(tape.gradient(y, {x})[0].item() == 1);  // before is a constant
  tape.watch(before);
  CHECK(tape.gradient(before * x, {x})[0].item() == 9);
}

TEST_CASE("tape: writes that would falsify a gradient are errors") {
  const Tensor w = tensor({1, 2});
  {  // a value that enters by a write
    Tape tape({w});
    const Tensor y = zeros({2});
    CHECK_THROWS_AS(copy_into(y, w * 2), ValueError);
  }
  {  // a value that is overwritten, whole or in part
    Tape tape({w});
    const Tensor y = w * 2;
    CHECK_THROWS_AS(copy_into(y, tensor({5, 5})), ValueError);
    CHECK_THROWS_AS(copy_into(slice(y, 0, 0, 1), tensor({5})), ValueError);
    CHECK(tape.gradient(sum(square(y)), {w})[0].values() == std::vector<double>{8, 16});
  }
  {  // an optimizer's step while the tape is still there, also after a view of the weight was used
    Tape tape({w});
    const Tensor g = tape.gradient(sum(square(reshape(w, {2, 1}))), {w})[0];
    copy_into(w, tensor({0, 0}));
    CHECK(g.values() == std::vector<double>{2, 4});
  }
  {
    const MuteTapes quiet;
    copy_into(w, tensor({1, 2}));
  }
  CHECK(w.values() == std::vector<double>{1, 2});
}

TEST_CASE("tape: as many gradients of results as results") {
  const Tensor w = tensor({1, 2});
  Tape tape({w});
  const Tensor y = w * 2;
  CHECK_THROWS_WITH_AS(tape.gradient({y, y}, {w}, {y}),
                       "gradient: 2 results, but 1 gradients of results. Pass one for each; an "
                       "undefined one is zero.",
                       ValueError);
}
