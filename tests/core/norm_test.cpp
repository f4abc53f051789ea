// Normalisations: values, accuracy, independence of batch-mates and threads, gradients, messages.
// Decompositions and second gradients are checked by the conformance suite.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

constexpr Activation kActivations[] = {
    Activation::none,     Activation::relu, Activation::gelu,      Activation::tanh,
    Activation::softplus, Activation::silu, Activation::leaky_relu};

double activated(double z, Activation activation) {
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::gelu:
      return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
    case Activation::softplus:
      return std::log1p(std::exp(z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::leaky_relu:
      return z > 0 ? z : 0.01 * z;
  }
  return NAN;
}

struct Case {
  Shape x;
  int64_t groups;
  bool affine = true;
  bool time = false;
  bool time_per_sample = false;
};
// Narrow and wide groups, one position and many, one image and many, channels that fill no vector.
const Case kCases[] = {
    {{2, 3, 3, 6}, 3},
    {{3, 4, 4, 64}, 32, true, true},
    {{2, 2, 5, 16}, 4, true, true, true},
    {{1, 40, 40, 3}, 1, false},
    {{5, 7}, 7},
    {{4, 130}, 2, true, true, true},
    {{2, 3, 200}, 1},
    {{33, 1, 1, 10}, 5, false, true},
    {{2, 9, 24}, 3},
};

struct Inputs {
  Tensor x, weight, bias;
  TimeTerm time;
};
Inputs inputs_of(const Case& c, Dtype dtype) {
  Inputs in{mixed(c.x, dtype), {}, {}, {}};
  const int64_t channels = c.x.back();
  if (c.affine) {
    in.weight = mixed({channels}, dtype, 1) * 0.5 + 1;
    in.bias = mixed({channels}, dtype, 2);
  }
  if (c.time) {
    Shape map, t = Shape::filled(c.x.rank(), 1);
    for (int i = 1; i < c.x.rank(); ++i) map.push_back(c.x[i]);
    t[0] = c.x[0];
    in.time = {mixed(c.time_per_sample ? t : Shape{}, dtype, 3), mixed(map, dtype, 4)};
  }
  return in;
}

// The values of x + t * map, in the order of x.
Values values_with_time(const Inputs& in) {
  Values values = in.x.values();
  if (!in.time.t.defined()) return values;
  const Values t = in.time.t.values(), map = in.time.map.values();
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t n = i / map.size();
    values[i] += t[t.size() == 1 ? 0 : n] * map[i % map.size()];
  }
  return values;
}

// Normalises the values of x that agree on group_of(i) by their own mean and variance.
template <typename GroupOf>
Values normalised(const Inputs& in, size_t groups, Activation activation, GroupOf&& group_of) {
  Values values = values_with_time(in);
  Values count(groups), mean(groups), variance(groups);
  for (size_t i = 0; i < values.size(); ++i) count[group_of(i)] += 1;
  for (size_t i = 0; i < values.size(); ++i) {
    mean[group_of(i)] += values[i] / count[group_of(i)];
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double d = values[i] - mean[group_of(i)];
    variance[group_of(i)] += d * d / count[group_of(i)];
  }
  const auto channels = static_cast<size_t>(in.x.shape().back());
  const Values weight = in.weight.defined() ? in.weight.values() : Values(channels, 1);
  const Values bias = in.bias.defined() ? in.bias.values() : Values(channels, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t g = group_of(i);
    const double n = (values[i] - mean[g]) / std::sqrt(variance[g] + 1e-5);
    values[i] = activated(n * weight[i % channels] + bias[i % channels], activation);
  }
  return values;
}

Values expected_group_norm(const Inputs& in, int64_t group_count, Activation activation) {
  const auto channels = static_cast<size_t>(in.x.shape().back());
  const auto groups = static_cast<size_t>(group_count);
  const auto samples = static_cast<size_t>(in.x.dim(0));
  const size_t image = in.x.values().size() / samples;
  return normalised(in, samples * groups, activation, [&](size_t i) {
    return i / image * groups + i % channels / (channels / groups);
  });
}

Values expected_batch_norm(const Inputs& in, Activation activation) {
  const auto channels = static_cast<size_t>(in.x.shape().back());
  return normalised(in, channels, activation, [&](size_t i) { return i % channels; });
}

Tensor sample(const Tensor& x, int64_t n) { return contiguous(slice(x, 0, n, n + 1)); }

// y and dx of a group norm for a cotangent g: (like x)
Tensors value_and_dx(const Inputs& in, int64_t groups, Activation activation, const Tensor& g) {
  Tape tape({in.x});
  const Tensor y =
      group_norm(in.x, in.weight, in.bias, groups, {.activation = activation}, in.time);
  return {y, tape.gradient(y, {in.x}, g)[0]};
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("group norm gives each group of each sample mean 0 and variance 1, then the rest") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Case& c : kCases) {
        CAPTURE(c.x);
        CAPTURE(c.groups);
        const Inputs in = inputs_of(c, dtype);
        for (const Activation activation : kActivations) {
          CAPTURE(name(activation));
          const Tensor y =
              group_norm(in.x, in.weight, in.bias, c.groups, {.activation = activation}, in.time);
          check_close(y, expected_group_norm(in, c.groups, activation), 2 * tolerance_of(dtype));
        }
      }
    }
  });
}

TEST_CASE("instance norm is group norm with a group for each channel; layer norm works on rows") {
  on_every_device([] {
    const Inputs in = inputs_of({{2, 3, 4, 5}, 5}, Dtype::f64);
    check_close(instance_norm(in.x, in.weight, in.bias),
                expected_group_norm(in, 5, Activation::none), 1e-13);
    const Inputs rows = inputs_of({{24, 5}, 1}, Dtype::f64);
    const Inputs deep{in.x, in.weight, in.bias, {}};
    const Tensor y = layer_norm(deep.x, deep.weight, deep.bias, {.activation = Activation::gelu});
    CHECK(y.shape() == deep.x.shape());
    check_close(y,
                expected_group_norm({deep.x.reshape({24, 5}), deep.weight, deep.bias, {}}, 1,
                                    Activation::gelu),
                1e-13);
    const Tensor row = layer_norm(slice(rows.x, 0, 0, 1).reshape({5}), {}, {});
    CHECK(row.shape() == Shape{5});
    check_close(row, expected_group_norm({sample(rows.x, 0), {}, {}, {}}, 1, Activation::none),
                1e-13);
  });
}

TEST_CASE("batch norm gives each channel of the batch mean 0 and variance 1") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Case& c : kCases) {
        CAPTURE(c.x);
        const Inputs in = inputs_of(c, dtype);
        for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu}) {
          const BatchNormResult r =
              batch_norm(in.x, in.weight, in.bias, {.activation = activation}, in.time);
          check_close(r.y, expected_batch_norm(in, activation), 3 * tolerance_of(dtype));
          // With the same statistics given, the same values.
          check_close(batch_norm_with(in.x, r.mean, r.variance, in.weight, in.bias,
                                      {.activation = activation}, in.time),
                      r.y.values(), tolerance_of(dtype));
          const Axes all_but_last = c.x.rank() == 2   ? Axes{0}
                                    : c.x.rank() == 3 ? Axes{0, 1}
                                                      : Axes{0, 1, 2};
          const Tensor v = tensor(values_with_time(in), c.x, Dtype::f64);
          check_close(r.mean, mean(v, all_but_last).values(), tolerance_of(dtype));
          check_close(r.variance, variance(v, all_but_last).values(), 3 * tolerance_of(dtype));
        }
      }
    }
  });
}

// A variance taken as E[x^2] - E[x]^2 would lose all of its digits here. Many positions, of which
// the first ones, which serve as the shift, are constant: the worst case of shift_rows().
TEST_CASE("float32 statistics survive a large mean") {
  on_every_device([] {
    for (const int64_t positions : {36, 2500}) {
      const Shape shape{2, positions, 4};
      Values values = mixed(shape, Dtype::f64).values();
      for (size_t i = 0; i < values.size(); ++i) {
        const bool first = static_cast<int64_t>(i) / 4 % positions < positions / 16;
        values[i] = first ? 1000 : 1004 + values[i];
      }
      const Tensor x = tensor(values, shape, Dtype::f32);
      const Inputs exact{x, {}, {}, {}};
      CAPTURE(positions);
      // 1000 itself is known to 3e-5, against a spread of about 1.
      check_close(group_norm(x, {}, {}, 2), expected_group_norm(exact, 2, Activation::none), 3e-5);
      check_close(batch_norm(x, {}, {}).y, expected_batch_norm(exact, Activation::none), 3e-5);
    }
  });
}

TEST_CASE("a sample's group norm and gradient do not depend on its batch-mates, to the bit") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Case& c : kCases) {
        CAPTURE(c.x);
        const Inputs in = inputs_of(c, dtype);
        const Tensor g = mixed(c.x, dtype, 9);
        const Tensors together = value_and_dx(in, c.groups, Activation::gelu, g);
        for (int64_t n = 0; n < c.x[0]; ++n) {
          Inputs alone = in;
          alone.x = sample(in.x, n);
          if (c.time_per_sample) alone.time.t = sample(in.time.t, n);
          const Tensors one = value_and_dx(alone, c.groups, Activation::gelu, sample(g, n));
          for (size_t i = 0; i < 2; ++i) {
            CHECK(one[i].values() == sample(together[i], n).values());
          }
        }
      }
    }
  });
}

TEST_CASE("the bits of a normalisation do not depend on the number of threads") {
  const int before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Case& c : {Case{{65, 6, 6, 64}, 32, true, true}, Case{{300, 5, 12}, 4}}) {
      const Inputs in = inputs_of(c, dtype);
      const Tensor g = mixed(c.x, dtype, 9);
      std::vector<std::vector<Values>> results;
      for (const int count : {1, 2, 8}) {
        cpu::set_threads(count);
        std::vector<Values>& of_count = results.emplace_back();
        Tensors inputs{in.x, in.weight, in.bias};
        if (c.time) inputs.insert(inputs.end(), {in.time.t, in.time.map});
        Tape tape(inputs);
        const Tensor y = group_norm(in.x, in.weight, in.bias, c.groups,
                                    {.activation = Activation::relu}, in.time);
        const BatchNormResult r =
            batch_norm(in.x, in.weight, in.bias, {.activation = Activation::relu}, in.time);
        for (const Tensor& x : {y, r.y, r.mean, r.variance}) of_count.push_back(x.values());
        for (const Tensor& d : tape.gradient(y, inputs, g)) of_count.push_back(d.values());
        for (const Tensor& d : tape.gradient(r.y, inputs, g)) of_count.push_back(d.values());
      }
      CHECK(results[0] == results[1]);
      CHECK(results[0] == results[2]);
    }
  }
  cpu::set_threads(before);
}

TEST_CASE("gradients of all inputs of a normalisation are right, also through the statistics") {
  on_every_device([] {
    for (const Case& c :
         {Case{{2, 2, 3, 4}, 2, true, true}, Case{{3, 2, 6}, 3, true, true, true}}) {
      const Inputs in = inputs_of(c, Dtype::f64);
      const Tensors inputs{in.x, in.weight, in.bias, in.time.t, in.time.map};
      const Tensor g = mixed(c.x, Dtype::f64, 9), h = mixed({c.x.back()}, Dtype::f64, 10);
      const auto by_group = [&](const Tensors& v) {
        return sum(g * group_norm(v[0], v[1], v[2], c.groups, {.activation = Activation::tanh},
                                  {v[3], v[4]}));
      };
      const auto by_channel = [&](const Tensors& v) {
        const BatchNormResult r =
            batch_norm(v[0], v[1], v[2], {.activation = Activation::softplus}, {v[3], v[4]});
        return sum(g * r.y) + sum(h * r.mean) + sum(h * h * r.variance);
      };
      const auto with_given = [&](const Tensors& v) {
        return sum(g * batch_norm_with(v[0], h, h * h + 1, v[1], v[2],
                                       {.activation = Activation::silu}, {v[3], v[4]}));
      };
      const std::function<Tensor(const Tensors&)> functions[] = {by_group, by_channel, with_given};
      for (const auto& f : functions) {
        Tape tape(inputs);
        const Tensors d = tape.gradient(f(inputs), inputs);
        for (size_t i = 0; i < inputs.size(); ++i) {
          CAPTURE(i);
          const Values expected = numeric_gradient(
              [&](const Tensor& x) {
                Tensors moved = inputs;
                moved[i] = x;
                return f(moved).item();
              },
              inputs[i]);
          check_close(d[i], expected, 1e-8);
          // Asked for alone it is the same: what is not wanted is not needed either.
          Tape alone({inputs[i]});
          CHECK(alone.gradient(f(inputs), {inputs[i]})[0].values() == d[i].values());
        }
      }
    }
  });
}

TEST_CASE("NaN stays in the sample, and in the channel of a batch norm") {
  on_every_device([] {
    Values values = mixed({3, 4, 4}, Dtype::f64).values();
    values[16 + 5] = kNan;  // sample 1, channel 1
    const Tensor x = tensor(values, {3, 4, 4}, Dtype::f32);
    const Values y = group_norm(x, {}, {}, 2).values();
    const Values z = batch_norm(x, {}, {}).y.values();
    for (size_t i = 0; i < values.size(); ++i) {
      CHECK(std::isnan(y[i]) == (i / 16 == 1 && i % 4 < 2));
      CHECK(std::isnan(z[i]) == (i % 4 == 1));
    }
  });
}

TEST_CASE("a constant input is normalised to the bias, not to NaN") {
  on_every_device([] {
    const Tensor x = full({2, 100, 4}, 0.1), bias = tensor({1, 2, 3, 4});
    const Values y = group_norm(x, {}, bias, 2).values(), z = batch_norm(x, {}, bias).y.values();
    for (size_t i = 0; i < y.size(); ++i) {
      CHECK(std::abs(y[i] - static_cast<double>(i % 4 + 1)) < 1e-4);
      CHECK(std::abs(z[i] - static_cast<double>(i % 4 + 1)) < 1e-4);
    }
  });
}

TEST_CASE("activations have names") {
  for (const Activation activation : kActivations) {
    CHECK(activation_named(name(activation)) == activation);
  }
  CHECK_THROWS_WITH_AS(activation_named("mish"),
                       "activation: there is no \"mish\". Choose one of none, relu, gelu, "
                       "softplus, tanh, silu, leaky_relu.",
                       ValueError);
}

TEST_CASE("messages of normalisations") {
  on_every_device([] {
    const Tensor x = zeros({8, 6, 6, 64}), w = ones({32});
    CHECK_THROWS_WITH_AS(group_norm(x, w, {}, 32),
                         "group_norm: weight must have one value for each channel: x (8, 6, 6, 64) "
                         "float32, weight (32) float32; x axis 3 is 64, weight axis 0 is 32. Pass "
                         "weight of shape (64).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(group_norm(x, {}, {}, 30),
                         "group_norm: groups must divide the channels: x (8, 6, 6, 64) float32; x "
                         "axis 3 is 64, groups is 30. Choose a divisor of 64.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(group_norm(zeros({64}), {}, {}, 32),
                         "group_norm: x (64) float32 has 1 axes; (N, .., C) has at least 2. Add "
                         "the batch axis: unsqueeze(x, 0).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(layer_norm(zeros({4, 64}), {}, w),
                         "layer_norm: bias must have one value for each channel: x (4, 64) "
                         "float32, bias (32) float32; x axis 1 is 64, bias axis 0 is 32. Pass bias "
                         "of shape (64).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(group_norm(x, {}, {}, 32, {}, {scalar(0.5), {}}),
                         "group_norm: the time term has t but no map. Give both, or none.",
                         ValueError);
    CHECK_THROWS_WITH_AS(group_norm(x, {}, {}, 32, {}, {zeros({8}), zeros({6, 6, 64})}),
                         "group_norm: x (8, 6, 6, 64) float32, t (8) float32; t must be (), or one "
                         "value for each sample: (8, 1, 1, 1).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(batch_norm(x, {}, {}, {}, {scalar(0.5), zeros({64})}),
                         "batch_norm: x (8, 6, 6, 64) float32, map (64) float32; map must have the "
                         "shape of one sample: (6, 6, 64).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(group_norm(x, ones({64}, Dtype::f64), {}, 32),
                         "group_norm: dtypes differ: x (8, 6, 6, 64) float32, weight (64) float64. "
                         "Nothing is converted silently; write cast(weight, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(
        batch_norm_with(x, ones({32}), ones({64}), {}, {}),
        "batch_norm_with: mean must have one value for each channel: x (8, 6, 6, 64) float32, mean "
        "(32) float32; x axis 3 is 64, mean axis 0 is 32. Pass mean of shape (64).",
        ShapeError);
  });
}
