// Matrix products: values against the definition, gradients of gradients, independence of threads
// and batch-mates, and the full text of every message.
#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "core/plan.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

// op(a) op(b) for matrices of equal leading axes, by the definition.
Values product(const Tensor& a, const Tensor& b, const MatmulOptions& options) {
  const Tensor x = contiguous(options.transpose_a ? transpose(a) : a);
  const Tensor y = contiguous(options.transpose_b ? transpose(b) : b);
  const int64_t m = x.dim(-2), k = x.dim(-1), n = y.dim(-1);
  int64_t count = 1;
  for (int i = 0; i + 2 < x.rank(); ++i) count *= x.dim(i);
  const Values p = x.values(), q = y.values();
  Values result;
  for (int64_t batch = 0; batch < count; ++batch) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += p[static_cast<size_t>((batch * m + i) * k + l)] *
                 q[static_cast<size_t>((batch * k + l) * n + j)];
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

Shape swapped(Shape shape) {
  std::swap(shape[shape.rank() - 2], shape[shape.rank() - 1]);
  return shape;
}

Shape joined(const Shape& leading, int64_t rows, int64_t columns) {
  Shape shape = leading;
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

}  // namespace

TEST_CASE("matmul computes the product for every size and transposition") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const auto& sizes : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                   {3, 4, 5},
                                                                   {1, 7, 3},
                                                                   {5, 9, 1},
                                                                   {17, 33, 19},
                                                                   {128, 2, 32},
                                                                   {31, 300, 65},
                                                                   {0, 3, 2},
                                                                   {3, 0, 2},
                                                                   {3, 2, 0}}) {
        const int64_t m = sizes[0], k = sizes[1], n = sizes[2];
        for (const bool ta : {false, true}) {
          for (const bool tb : {false, true}) {
            CAPTURE(m);
            CAPTURE(k);
            CAPTURE(n);
            CAPTURE(ta);
            CAPTURE(tb);
            const Tensor a = mixed(ta ? Shape{k, m} : Shape{m, k}, dtype, 1);
            const Tensor b = mixed(tb ? Shape{n, k} : Shape{k, n}, dtype, 2);
            const Tensor c = matmul(a, b, {ta, tb});
            CHECK(c.shape() == Shape{m, n});
            CHECK(c.dtype() == dtype);
            check_close(c, product(a, b, {ta, tb}), tolerance_of(dtype));
          }
        }
      }
    }
  });
}

TEST_CASE("matmul broadcasts leading axes") {
  struct Case {
    Shape a, b, result;  // leading axes
  };
  on_every_device([] {
    for (const auto& sizes : std::vector<Case>{{{2}, {2}, {2}},
                                               {{2, 3}, {2, 3}, {2, 3}},
                                               {{3}, {}, {3}},
                                               {{}, {3}, {3}},
                                               {{2, 3}, {3}, {2, 3}},
                                               {{3}, {2, 3}, {2, 3}},
                                               {{2, 1}, {1, 3}, {2, 3}},
                                               {{2, 3}, {2, 1}, {2, 3}},
                                               {{2, 1, 4}, {1, 3, 4}, {2, 3, 4}},
                                               {{0}, {}, {0}},
                                               {{1}, {0}, {0}}}) {
      const Shape &la = sizes.a, &lb = sizes.b, &lc = sizes.result;
      for (const MatmulOptions options : {MatmulOptions{}, MatmulOptions{true, false},
                                          MatmulOptions{false, true}, MatmulOptions{true, true}}) {
        CAPTURE(la);
        CAPTURE(lb);
        CAPTURE(options.transpose_a);
        CAPTURE(options.transpose_b);
        const Shape full_a = joined(la, 3, 5), full_b = joined(lb, 5, 2);
        const Tensor a = mixed(options.transpose_a ? swapped(full_a) : full_a, Dtype::f64, 3);
        const Tensor b = mixed(options.transpose_b ? swapped(full_b) : full_b, Dtype::f64, 4);
        const Tensor c = matmul(a, b, options);
        REQUIRE(c.shape() == joined(lc, 3, 2));
        const auto stretched = [&](const Tensor& x) {
          return expand(x, joined(lc, x.dim(-2), x.dim(-1)));
        };
        check_close(c, product(stretched(a), stretched(b), options), 1e-13);
      }
    }
  });
}

TEST_CASE("matmul and linear take views") {
  on_every_device([] {
    const Tensor a = mixed({6, 4}, Dtype::f64), b = mixed({4, 10}, Dtype::f64, 1);
    const Tensor columns = slice(b, 1, 0, 10, 2), rows = slice(a, 0, 1, 5);
    check_close(matmul(rows, columns), product(contiguous(rows), contiguous(columns), {}), 1e-13);
    check_close(matmul(transpose(b), transpose(a)), product(b, a, {true, true}), 1e-13);
    check_close(linear(rows, transpose(columns)),
                product(contiguous(rows), contiguous(columns), {}), 1e-13);
  });
}

TEST_CASE("linear is x w^T + b over the last axis") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Shape& leading : {Shape{4}, Shape{}, Shape{2, 3}, Shape{0}, Shape{300}}) {
        for (const auto& sizes :
             std::vector<std::array<int64_t, 2>>{{3, 5}, {33, 17}, {1, 1}, {784, 10}, {0, 2}}) {
          const int64_t in = sizes[0], out = sizes[1];
          CAPTURE(leading);
          CAPTURE(in);
          CAPTURE(out);
          Shape x_shape = leading, y_shape = leading;
          x_shape.push_back(in), y_shape.push_back(out);
          const Tensor x = mixed(x_shape, dtype, 5), w = mixed({out, in}, dtype, 6),
                       b = mixed({out}, dtype, 7);
          const int64_t rows = leading.size();
          Values expected = product(x.reshape({rows, in}), w, {false, true});
          const Tensor plain = linear(x, w);
          CHECK(plain.shape() == y_shape);
          check_close(plain, expected, tolerance_of(dtype));
          const Values bias = b.values();
          for (size_t i = 0; i < expected.size(); ++i)
            expected[i] += bias[i % static_cast<size_t>(out)];
          check_close(linear(x, w, b), expected, tolerance_of(dtype));
        }
      }
    }
  });
}

TEST_CASE("gradients of matmul, first and second") {
  on_every_device([] {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        CAPTURE(ta);
        CAPTURE(tb);
        const MatmulOptions options{ta, tb};
        const Tensor a = mixed(ta ? Shape{2, 4, 3} : Shape{2, 3, 4}, Dtype::f64, 8);
        const Tensor b = mixed(tb ? Shape{2, 4} : Shape{4, 2}, Dtype::f64, 9);
        const Tensor u = mixed(a.shape(), Dtype::f64, 10), v = mixed(b.shape(), Dtype::f64, 11);
        const auto value = [&](const Tensor& p, const Tensor& q) {
          return sum(square(matmul(p, q, options)));
        };

        Tape outer({a, b});
        Tape tape({a, b});
        const Tensors d = tape.gradient(value(a, b), {a, b});
        CHECK(d[0].shape() == a.shape());
        CHECK(d[1].shape() == b.shape());
        check_close(d[0], numeric_gradient([&](const Tensor& p) { return value(p, b).item(); }, a),
                    1e-8);
        check_close(d[1], numeric_gradient([&](const Tensor& q) { return value(a, q).item(); }, b),
                    1e-8);

        // Along u and v; then the derivative of that.
        const Tensors dd = outer.gradient(sum(d[0] * u) + sum(d[1] * v), {a, b});
        const auto along = [&](const Tensor& p, const Tensor& q) {
          Tape inner_tape({p, q});
          const Tensors g = inner_tape.gradient(value(p, q), {p, q});
          return inner(g[0], u) + inner(g[1], v);
        };
        check_close(dd[0], numeric_gradient([&](const Tensor& p) { return along(p, b); }, a), 1e-8);
        check_close(dd[1], numeric_gradient([&](const Tensor& q) { return along(a, q); }, b), 1e-8);
      }
    }
  });
}

TEST_CASE("gradients of linear have the shapes of its inputs") {
  on_every_device([] {
    for (const Shape& x_shape : {Shape{3}, Shape{4, 3}, Shape{2, 2, 3}, Shape{0, 3}}) {
      const Tensor x = mixed(x_shape, Dtype::f64, 12), w = mixed({2, 3}, Dtype::f64, 13);
      const Tensor b = mixed({2}, Dtype::f64, 14);
      const auto value = [](const Tensor& p, const Tensor& q, const Tensor& r) {
        return sum(square(linear(p, q, r)));
      };
      Tape tape({x, w, b});
      const Tensors d = tape.gradient(value(x, w, b), {x, w, b});
      CHECK(d[0].shape() == x_shape);
      check_close(d[0], numeric_gradient([&](const Tensor& p) { return value(p, w, b).item(); }, x),
                  1e-8);
      check_close(d[1], numeric_gradient([&](const Tensor& q) { return value(x, q, b).item(); }, w),
                  1e-8);
      check_close(d[2], numeric_gradient([&](const Tensor& r) { return value(x, w, r).item(); }, b),
                  1e-8);
    }
  });
}

TEST_CASE("cpu: a row's bits depend neither on the threads nor on the other rows") {
  const DeviceScope scope(device("cpu"));
  const int threads_before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const auto& sizes :
         std::vector<std::array<int64_t, 2>>{{2, 32}, {784, 10}, {64, 64}, {900, 32}}) {
      const int64_t in = sizes[0], out = sizes[1];
      CAPTURE(in);
      CAPTURE(out);
      const Tensor x = mixed({257, in}, dtype, 15), w = mixed({out, in}, dtype, 16),
                   b = mixed({out}, dtype, 17);
      cpu::set_threads(1);
      const Values all = linear(x, w, b).values();
      const Values gradient = matmul(linear(x, w, b), x, {.transpose_a = true}).values();
      for (const int count : {2, 8}) {
        cpu::set_threads(count);
        CHECK(linear(x, w, b).values() == all);
        CHECK(matmul(linear(x, w, b), x, {.transpose_a = true}).values() == gradient);
      }
      for (const int64_t row : {0, 1, 100, 256}) {
        const Values alone = linear(slice(x, 0, row, row + 1), w, b).values();
        const auto begin = all.begin() + row * out;
        CHECK(alone == Values(begin, begin + out));
      }
    }
  }
  cpu::set_threads(threads_before);
}

TEST_CASE("the same weights in new memory, and written in place, give new results") {
  on_every_device([] {
    const Tensor x = mixed({40, 9}, Dtype::f32, 18);
    const Tensor w = mixed({2, 6, 9}, Dtype::f32, 19);  // two matrices in one storage
    const Tensor first = slice(w, 0, 0, 1).reshape({6, 9}),
                 second = slice(w, 0, 1, 2).reshape({6, 9});
    const auto check = [&](const Tensor& weights) {
      const Values expected = product(x, weights.clone(), {false, true});
      for (int repeat = 0; repeat < 3; ++repeat) check_close(linear(x, weights), expected, 2e-6);
    };
    check(first);
    check(second);
    copy_into(w, mixed({2, 6, 9}, Dtype::f32, 20));
    check(second);
    check(first);
  });
}

TEST_CASE("a plan follows weights that are written in place") {
  on_every_device([] {
    const Tensor x = mixed({7, 9}, Dtype::f64, 50);
    const Tensor w = mixed({9, 9}, Dtype::f64, 51), v = mixed({9, 9}, Dtype::f64, 52);
    const auto two_layers = [&](const Tensors& in) { return Tensors{matmul(linear(in[0], w), v)}; };
    Plan plan({x}, two_layers);
    for (int64_t step = 0; step < 3; ++step) {
      for (int repeat = 0; repeat < 3; ++repeat) {
        const Tensor hidden = tensor(product(x, w, {false, true}), {7, 9}, Dtype::f64);
        check_close(plan.run({x})[0], product(hidden, v, {}), 1e-13);
      }
      copy_into(w, mixed(w.shape(), Dtype::f64, 53 + step));
      copy_into(v, mixed(v.shape(), Dtype::f64, 63 + step));
    }
  });
}

TEST_CASE("messages of matmul") {
  on_every_device([] {
    const auto f32 = [](const Shape& shape) { return zeros(shape); };
    CHECK_THROWS_WITH_AS(matmul(f32({32, 784}), f32({10, 784})),
                         "matmul: inner sizes differ: a (32, 784) float32, b (10, 784) float32; a "
                         "axis 1 is 784, b axis "
                         "0 is 10. Did you mean matmul(a, b, {.transpose_b = true})?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({784, 32}), f32({784, 10})),
                         "matmul: inner sizes differ: a (784, 32) float32, b (784, 10) float32; a "
                         "axis 1 is 32, b axis "
                         "0 is 784. Did you mean matmul(a, b, {.transpose_a = true})?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({2, 3}), f32({3, 4}), {.transpose_b = true}),
                         "matmul: inner sizes differ: a (2, 3) float32, b (3, 4) float32; a axis 1 "
                         "is 3, b axis 1 is 4. "
                         "Did you mean matmul(a, b)?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({3, 2}), f32({4, 3}), {.transpose_a = true}),
                         "matmul: inner sizes differ: a (3, 2) float32, b (4, 3) float32; a axis 0 "
                         "is 3, b axis 0 is 4. "
                         "Did you mean matmul(a, b, {.transpose_a = true, .transpose_b = true})?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({2, 3}), f32({4, 5})),
                         "matmul: inner sizes differ: a (2, 3) float32, b (4, 5) float32; a axis 1 "
                         "is 3, b axis 0 is 4. "
                         "The columns of a must be as many as the rows of b.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({3}), f32({3, 4})),
                         "matmul: a (3) float32, b (3, 4) float32; a has 1 axes, a matrix has 2. "
                         "Use a.reshape({1, 3}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({2, 3}), f32({3})),
                         "matmul: a (2, 3) float32, b (3) float32; b has 1 axes, a matrix has 2. "
                         "Use b.reshape({3, 1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(matmul(f32({2, 2, 3}), f32({4, 3, 5})),
                         "matmul: leading axes do not broadcast: a (2, 2, 3) float32, b (4, 3, 5) "
                         "float32; a axis 0 is "
                         "2, b axis 0 is 4. They must be equal, or one of them 1.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(
        matmul(f32({2, 3}), zeros({3, 4}, Dtype::f64)),
        "matmul: dtypes differ: a (2, 3) float32, b (3, 4) float64. Nothing is converted silently; "
        "write cast(b, Dtype::f32).",
        DtypeError);
    CHECK_THROWS_WITH_AS(
        matmul(zeros({2, 3}, Dtype::i32), f32({3, 4})),
        "matmul: a (2, 3) int32, b (3, 4) float32; a must be float32 or float64. Write cast(a, "
        "Dtype::f32).",
        DtypeError);
  });
}

TEST_CASE("messages of linear") {
  on_every_device([] {
    const auto f32 = [](const Shape& shape) { return zeros(shape); };
    CHECK_THROWS_WITH_AS(linear(f32({8, 3}), f32({3, 5})),
                         "linear: inner sizes differ: x (8, 3) float32, w (3, 5) float32; x axis 1 "
                         "is 3, w axis 1 is 5. "
                         "w is (out, in). Did you mean linear(x, transpose(w))?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(linear(f32({8, 6, 6, 64}), f32({10, 2304})),
                         "linear: inner sizes differ: x (8, 6, 6, 64) float32, w (10, 2304) "
                         "float32; x axis 3 is 64, w "
                         "axis 1 is 2304. Did you mean linear(x.reshape({8, 2304}), w)?",
                         ShapeError);
    CHECK_THROWS_WITH_AS(linear(f32({8, 784}), f32({10, 100})),
                         "linear: inner sizes differ: x (8, 784) float32, w (10, 100) float32; x "
                         "axis 1 is 784, w axis "
                         "1 is 100. w is (out, in). Build the layer with .in = 784.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(linear(f32({8, 4}), f32({10, 4}), f32({4})),
                         "linear: bias differs: x (8, 4) float32, w (10, 4) float32, b (4) "
                         "float32; expected b (10): one "
                         "value for each row of w.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(
        linear(f32({8, 4}), f32({4})),
        "linear: x (8, 4) float32, w (4) float32; w has 1 axes, expected 2: (out, in).",
        ShapeError);
    CHECK_THROWS_WITH_AS(
        linear(f32({}), f32({1, 1})),
        "linear: x () float32, w (1, 1) float32; x has no axis. Use x.reshape({1, 1}).",
        ShapeError);
    CHECK_THROWS_WITH_AS(
        linear(f32({8, 4}), f32({10, 4}), zeros({10}, Dtype::f64)),
        "linear: dtypes differ: x (8, 4) float32, w (10, 4) float32, b (10) float64. Nothing is "
        "converted silently; write cast(b, Dtype::f32).",
        DtypeError);
  });
}
