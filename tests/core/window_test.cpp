// Convolution: values against the definition, gradients of gradients, independence of threads and
// batch-mates, and the full text of every message.
#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "core/plan.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

struct ConvCase {
  Shape x, w;
  Conv2dOptions options = {};
};

// Odd sizes, every option, and the shapes of our models.
const std::vector<ConvCase> kConvCases = {
    {{2, 5, 5, 3}, {4, 3, 3, 3}},
    {{3, 6, 6, 64}, {64, 3, 3, 64}, {.padding = {1, 1}}},
    {{2, 13, 13, 16}, {17, 4, 4, 16}, {.stride = {2, 2}, .padding = {1, 1}}},
    {{2, 28, 28, 1}, {8, 3, 3, 1}},
    {{2, 7, 5, 5}, {9, 1, 1, 5}},
    {{2, 7, 5, 5}, {9, 1, 1, 5}, {.stride = {2, 2}}},
    {{1, 9, 8, 2}, {3, 3, 2, 2}, {.stride = {3, 2}, .padding = {2, 1}, .dilation = {2, 3}}},
    {{2, 11, 11, 8}, {8, 5, 5, 8}, {.padding = {4, 4}, .dilation = {2, 2}}},
    {{1, 6, 6, 2}, {2, 3, 3, 2}, {.stride = {2, 2}}},
    {{2, 4, 4, 2}, {3, 4, 4, 2}},
    {{2, 6, 6, 12}, {8, 3, 3, 3}, {.padding = {1, 1}, .groups = 4}},
    {{2, 5, 5, 6}, {3, 3, 3, 2}, {.stride = {2, 2}, .padding = {1, 1}, .groups = 3}},
    {{2, 8, 8, 33}, {33, 3, 3, 1}, {.padding = {1, 1}, .groups = 33}},
    {{2, 8, 8, 7}, {21, 3, 3, 1}, {.padding = {1, 1}, .groups = 7}},
    {{3, 1, 20, 2}, {4, 1, 5, 2}, {.padding = {0, 2}}},
    {{1, 1, 1, 1}, {1, 1, 1, 1}},
    {{1, 2, 2, 1}, {1, 2, 2, 1}, {.padding = {3, 3}}},
    {{0, 6, 6, 3}, {4, 3, 3, 3}},
};

// The three sums of a convolution with g, from one loop over every product:
// y = conv(x, w), dx = the data gradient of (g, w), dw = the weight gradient of (x, g).
struct ConvSums {
  Values y, dx, dw;
};
ConvSums convolution_sums(const Tensor& x, const Tensor& w, const Tensor& g,
                          const Conv2dOptions& o) {
  const Values xs = x.values(), ws = w.values(), gs = g.values();
  ConvSums sums{Values(gs.size(), 0.0), Values(xs.size(), 0.0), Values(ws.size(), 0.0)};
  const auto at = [](const Tensor& t, int64_t a, int64_t b, int64_t c, int64_t d) {
    return static_cast<size_t>(((a * t.dim(1) + b) * t.dim(2) + c) * t.dim(3) + d);
  };
  const int64_t filters = w.dim(0), group_filters = filters / o.groups, group_channels = w.dim(3);
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t k = 0; k < filters; ++k)
      for (int64_t i = 0; i < g.dim(1); ++i)
        for (int64_t j = 0; j < g.dim(2); ++j)
          for (int64_t r = 0; r < w.dim(1); ++r)
            for (int64_t s = 0; s < w.dim(2); ++s)
              for (int64_t c = 0; c < group_channels; ++c) {
                const int64_t row = i * o.stride[0] + r * o.dilation[0] - o.padding[0];
                const int64_t column = j * o.stride[1] + s * o.dilation[1] - o.padding[1];
                if (row < 0 || row >= x.dim(1) || column < 0 || column >= x.dim(2)) continue;
                const size_t p = at(x, n, row, column, k / group_filters * group_channels + c);
                const size_t q = at(w, k, r, s, c), place = at(g, n, i, j, k);
                sums.y[place] += xs[p] * ws[q];
                sums.dx[p] += gs[place] * ws[q];
                sums.dw[q] += gs[place] * xs[p];
              }
  return sums;
}

Shape result_shape(const ConvCase& c) {
  const auto length = [&](int axis) {
    const size_t i = static_cast<size_t>(axis - 1);
    return (c.x[axis] + 2 * c.options.padding[i] - c.options.dilation[i] * (c.w[axis] - 1) - 1) /
               c.options.stride[i] +
           1;
  };
  return {c.x[0], length(1), length(2), c.w[0]};
}

}  // namespace

TEST_CASE("conv2d and its gradients compute their sums") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const ConvCase& c : kConvCases) {
        CAPTURE(c.x);
        CAPTURE(c.w);
        CAPTURE(dtype);
        const Tensor x = mixed(c.x, dtype, 1), w = mixed(c.w, dtype, 2),
                     b = mixed({c.w[0]}, dtype, 3);
        const Tensor g = mixed(result_shape(c), dtype, 4);
        ConvSums expected = convolution_sums(x, w, g, c.options);
        // float32: the terms of a sum of 1000 products may cancel; rounding is relative to them.
        const double tolerance = dtype == Dtype::f64 ? 1e-13 : 1e-5;
        const Tensor y = conv2d(x, w, {}, c.options);
        CHECK(y.shape() == g.shape());
        check_close(y, expected.y, tolerance);
        check_close(conv2d_data_gradient(g, w, c.x, c.options), expected.dx, tolerance);
        check_close(conv2d_weight_gradient(x, g, c.w, c.options), expected.dw, tolerance);
        const Values bias = b.values();
        for (size_t i = 0; i < expected.y.size(); ++i) expected.y[i] += bias[i % bias.size()];
        check_close(conv2d(x, w, b, c.options), expected.y, tolerance);
      }
    }
  });
}

TEST_CASE("conv2d takes views") {
  on_every_device([] {
    const Tensor nchw = mixed({2, 3, 6, 5}, Dtype::f64), w = mixed({4, 3, 3, 3}, Dtype::f64, 1);
    const Tensor x = permute(nchw, {0, 2, 3, 1});
    check_close(conv2d(x, w), conv2d(contiguous(x), w).values(), 0);
    check_close(conv2d(slice(x, 0, 1, 2), w), conv2d(contiguous(slice(x, 0, 1, 2)), w).values(), 0);
  });
}

TEST_CASE("gradients of conv2d, first and second") {
  on_every_device([] {
    for (const ConvCase& c : std::vector<ConvCase>{
             {{2, 4, 5, 2}, {3, 3, 2, 2}, {.padding = {1, 1}}},
             {{1, 5, 5, 2}, {2, 3, 3, 2}, {.stride = {2, 2}, .padding = {1, 1}}},
             {{1, 5, 6, 4}, {2, 2, 2, 2}, {.dilation = {2, 1}, .groups = 2}},
         }) {
      CAPTURE(c.x);
      const Tensor x = mixed(c.x, Dtype::f64, 5), w = mixed(c.w, Dtype::f64, 6),
                   b = mixed({c.w[0]}, Dtype::f64, 7);
      const Tensor u = mixed(c.x, Dtype::f64, 8), v = mixed(c.w, Dtype::f64, 9);
      const auto value = [&](const Tensor& p, const Tensor& q, const Tensor& r) {
        return sum(square(conv2d(p, q, r, c.options)));
      };
      Tape outer({x, w});
      Tape tape({x, w, b});
      const Tensors d = tape.gradient(value(x, w, b), {x, w, b});
      check_close(d[0], numeric_gradient([&](const Tensor& p) { return value(p, w, b).item(); }, x),
                  1e-8);
      check_close(d[1], numeric_gradient([&](const Tensor& q) { return value(x, q, b).item(); }, w),
                  1e-8);
      check_close(d[2], numeric_gradient([&](const Tensor& r) { return value(x, w, r).item(); }, b),
                  1e-8);

      const Tensors dd = outer.gradient(sum(d[0] * u) + sum(d[1] * v), {x, w});
      const auto along = [&](const Tensor& p, const Tensor& q) {
        Tape inner_tape({p, q});
        const Tensors g = inner_tape.gradient(value(p, q, b), {p, q});
        return inner(g[0], u) + inner(g[1], v);
      };
      check_close(dd[0], numeric_gradient([&](const Tensor& p) { return along(p, w); }, x), 1e-8);
      check_close(dd[1], numeric_gradient([&](const Tensor& q) { return along(x, q); }, w), 1e-8);
    }
  });
}

TEST_CASE("conv1d is conv2d with height 1") {
  on_every_device([] {
    const Tensor x = mixed({2, 9, 4}, Dtype::f64, 10), w = mixed({6, 3, 2}, Dtype::f64, 11);
    const Tensor b = mixed({6}, Dtype::f64, 12);
    const Tensor y = conv1d(x, w, b, {.stride = 2, .padding = 2, .dilation = 2, .groups = 2});
    const Conv2dOptions options{
        .stride = {1, 2}, .padding = {0, 2}, .dilation = {1, 2}, .groups = 2};
    const Tensor g = mixed({2, 1, 5, 6}, Dtype::f64);
    Values expected =
        convolution_sums(x.reshape({2, 1, 9, 4}), w.reshape({6, 1, 3, 2}), g, options).y;
    const Values bias = b.values();
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % 6];
    CHECK(y.shape() == Shape{2, 5, 6});
    check_close(y, expected, 1e-13);

    Tape tape({x, w});
    const Tensors d = tape.gradient(sum(square(conv1d(x, w, {}, {.groups = 2}))), {x, w});
    CHECK(d[0].shape() == x.shape());
    CHECK(d[1].shape() == w.shape());
  });
}

TEST_CASE("cpu: a sample's bits depend neither on the threads nor on the batch") {
  const DeviceScope scope(device("cpu"));
  const int threads_before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (ConvCase c : kConvCases) {
      if (c.x[0] == 0) continue;
      c.x[0] = 11;
      CAPTURE(c.x);
      CAPTURE(c.w);
      CAPTURE(dtype);
      const Tensor x = mixed(c.x, dtype, 13), w = mixed(c.w, dtype, 14),
                   b = mixed({c.w[0]}, dtype, 15);
      const Tensor g = mixed(result_shape(c), dtype, 16);
      cpu::set_threads(1);
      const Values y = conv2d(x, w, b, c.options).values();
      const Values dx = conv2d_data_gradient(g, w, c.x, c.options).values();
      const Values dw = conv2d_weight_gradient(x, g, c.w, c.options).values();
      for (const int count : {2, 8}) {
        cpu::set_threads(count);
        CHECK(conv2d(x, w, b, c.options).values() == y);
        CHECK(conv2d_data_gradient(g, w, c.x, c.options).values() == dx);
        CHECK(conv2d_weight_gradient(x, g, c.w, c.options).values() == dw);
      }
      for (const int64_t n : {0, 4, 10}) {
        const Values one = conv2d(slice(x, 0, n, n + 1), w, b, c.options).values();
        const auto begin = y.begin() + n * static_cast<int64_t>(one.size());
        CHECK(one == Values(begin, begin + static_cast<int64_t>(one.size())));
        Shape x_one = c.x;
        x_one[0] = 1;
        const Values gradient =
            conv2d_data_gradient(slice(g, 0, n, n + 1), w, x_one, c.options).values();
        const auto start = dx.begin() + n * static_cast<int64_t>(gradient.size());
        CHECK(gradient == Values(start, start + static_cast<int64_t>(gradient.size())));
      }
    }
  }
  cpu::set_threads(threads_before);
}

TEST_CASE("new weights give new results") {
  on_every_device([] {
    const Tensor x = mixed({2, 6, 6, 3}, Dtype::f32, 17), g = mixed({2, 4, 4, 5}, Dtype::f32, 18);
    const Tensor two =
        mixed({2, 5, 3, 3, 3}, Dtype::f32, 19);  // two sets of weights in one storage
    const Tensor first = slice(two, 0, 0, 1).reshape({5, 3, 3, 3}),
                 second = slice(two, 0, 1, 2).reshape({5, 3, 3, 3});
    const auto check = [&](const Tensor& w) {
      const ConvSums expected = convolution_sums(x, w.clone(), g, {});
      for (int repeat = 0; repeat < 2; ++repeat) {
        check_close(conv2d(x, w), expected.y, 1e-5);
        check_close(conv2d_data_gradient(g, w, x.shape()), expected.dx, 1e-5);
      }
    };
    for (int repeat = 0; repeat < 3; ++repeat) {
      check(first);
      check(second);
    }
    copy_into(two, mixed(two.shape(), Dtype::f32, 20));
    check(first);
    check(second);
    for (int64_t i = 0; i < 20; ++i) check(mixed({5, 3, 3, 3}, Dtype::f32, 21 + i));
  });
}

TEST_CASE("a plan follows weights that are written in place") {
  on_every_device([] {
    const Tensor x = mixed({2, 6, 6, 3}, Dtype::f32, 50);
    const Tensor w = mixed({3, 3, 3, 3}, Dtype::f32, 51), v = mixed({3, 3, 3, 3}, Dtype::f32, 52);
    const auto two_layers = [](const Tensor& image, const Tensor& first, const Tensor& second) {
      return conv2d(conv2d(image, first, {}, {.padding = {1, 1}}), second, {}, {.padding = {1, 1}});
    };
    Plan plan({x}, [&](const Tensors& in) { return Tensors{two_layers(in[0], w, v)}; });
    for (int64_t step = 0; step < 3; ++step) {
      for (int repeat = 0; repeat < 3; ++repeat) {
        // Clones are weights that no kernel has seen.
        CHECK(plan.run({x})[0].values() == two_layers(x, w.clone(), v.clone()).values());
      }
      copy_into(w, mixed(w.shape(), Dtype::f32, 53 + step));
      copy_into(v, mixed(v.shape(), Dtype::f32, 63 + step));
    }
  });
}

TEST_CASE("messages of convolution") {
  on_every_device([] {
    const auto f32 = [](const Shape& shape) { return zeros(shape); };
    CHECK_THROWS_WITH_AS(conv2d(f32({8, 28, 28, 1}), f32({64, 3, 3, 3})),
                         "conv2d: channels differ: x (8, 28, 28, 1) float32, w (64, 3, 3, 3) "
                         "float32; x axis 3 is 1, w "
                         "axis 3 is 3. Build the layer with .in = 1.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(
        conv2d(f32({8, 9, 9, 4}), f32({6, 3, 3, 2})),
        "conv2d: channels differ: x (8, 9, 9, 4) float32, w (6, 3, 3, 2) float32; x axis 3 is 4, w "
        "axis 3 is 2. Build the layer with .in = 4, or use .groups = 2.",
        ShapeError);
    CHECK_THROWS_WITH_AS(
        conv2d(f32({8, 9, 9, 4}), f32({6, 3, 3, 4}), {}, {.groups = 2}),
        "conv2d: channels differ: x (8, 9, 9, 4) float32, w (6, 3, 3, 4) float32; x axis 3 is 4, w "
        "axis 3 is 4 with .groups = 2, expected 2. Build the layer with .in = 4.",
        ShapeError);
    CHECK_THROWS_WITH_AS(conv2d(f32({8, 9, 9, 4}), f32({6, 3, 3, 1}), {}, {.groups = 3}),
                         "conv2d: groups do not divide the channels: x (8, 9, 9, 4) float32, w (6, "
                         "3, 3, 1) float32; x "
                         "axis 3 is 4, w axis 0 is 6, .groups = 3. Both must be multiples of it.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(conv2d(f32({28, 28, 1}), f32({64, 3, 3, 1})),
                         "conv2d: x (28, 28, 1) float32, w (64, 3, 3, 1) float32; x has 3 axes, "
                         "expected 4: (N, H, W, "
                         "C). For one image write x.reshape({1, 28, 28, 1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 28, 28, 1}), f32({64, 9})),
                         "conv2d: x (1, 28, 28, 1) float32, w (64, 9) float32; w has 2 axes, "
                         "expected 4: (K, R, S, C / "
                         "groups).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(
        conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), {}, {.padding = {0, 1}, .dilation = {2, 2}}),
        "conv2d: the window does not fit: x (1, 4, 4, 2) float32, w (3, 3, 3, 2) float32; it "
        "covers 5 x "
        "5, the padded image is 4 x 6. Use .padding = {1, 1}, or a larger image.",
        ShapeError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), f32({2})),
                         "conv2d: bias differs: x (1, 4, 4, 2) float32, w (3, 3, 3, 2) float32, b "
                         "(2) float32; expected "
                         "b (3): one value for each filter, w axis 0.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), {}, {.stride = {1, 0}}),
                         "conv2d: .stride = {1, 0}, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), {}, {.padding = {-1, 0}}),
                         "conv2d: .padding = {-1, 0}, expected at least 0.", ValueError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), {}, {.dilation = {0, 1}}),
                         "conv2d: .dilation = {0, 1}, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 3, 3, 2}), {}, {.groups = 0}),
                         "conv2d: .groups = 0, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), f32({3, 0, 3, 2})),
                         "conv2d: .window = {0, 3}, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(conv2d(f32({1, 4, 4, 2}), zeros({3, 3, 3, 2}, Dtype::f64)),
                         "conv2d: dtypes differ: x (1, 4, 4, 2) float32, w (3, 3, 3, 2) float64. "
                         "Nothing is converted "
                         "silently; write cast(w, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(
        conv2d_data_gradient(f32({1, 3, 3, 3}), f32({3, 3, 3, 2}), {1, 4, 4, 2}),
        "conv2d_data_gradient: the result has another shape: g (1, 3, 3, 3) float32, w (3, 3, 3, "
        "2) "
        "float32, x_shape (1, 4, 4, 2); expected g (1, 2, 2, 3), the shape of conv2d(x, w).",
        ShapeError);
    CHECK_THROWS_WITH_AS(
        conv2d_weight_gradient(f32({1, 4, 4, 2}), f32({2, 2, 2, 3}), {3, 3, 3, 2}),
        "conv2d_weight_gradient: the result has another shape: x (1, 4, 4, 2) float32, g (2, 2, 2, "
        "3) "
        "float32, w_shape (3, 3, 3, 2); expected g (1, 2, 2, 3), the shape of conv2d(x, w).",
        ShapeError);
    CHECK_THROWS_WITH_AS(conv1d(f32({8, 9, 1}), f32({4, 3, 2})),
                         "conv1d: channels differ: x (8, 9, 1) float32, w (4, 3, 2) float32; x "
                         "axis 2 is 1, w axis 2 is "
                         "2. Build the layer with .in = 1.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(conv1d(f32({8, 3, 1}), f32({4, 6, 1})),
                         "conv1d: the window does not fit: x (8, 3, 1) float32, w (4, 6, 1) "
                         "float32; it covers 6, the "
                         "padded image is 3. Use .padding = 2, or a larger image.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(conv1d(f32({8, 3, 1}), f32({4, 3, 1}), {}, {.stride = 0}),
                         "conv1d: .stride = 0, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(conv1d(f32({8, 3}), f32({4, 3, 1})),
                         "conv1d: x (8, 3) float32, w (4, 3, 1) float32; x has 2 axes, expected 3: "
                         "(N, W, C). For one "
                         "sequence write x.reshape({1, 8, 3}).",
                         ShapeError);
  });
}
