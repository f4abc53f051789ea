// Layers: initial values, the convolution with a time channel, running statistics of batch norm.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "core/ops.h"
#include "nn/convolution.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/residual.h"
#include "nn/sequential.h"
#include "tests/core/test_values.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

namespace {

ParameterOptions in_double() { return {.dtype = Dtype::f64}; }

double largest(const Tensor& x) { return max(abs(x)).item(); }

}  // namespace

TEST_CASE("initial values: bounds, spread, and the same for the same seed") {
  Rng rng(3), again(3), other(4);
  const Shape shape{64, 3, 3, 16};  // fan-in 144, fan-out 576
  const double bound = 1 / std::sqrt(144.0);
  const Tensor w = initial_weight(Initial::standard, shape, rng, in_double());
  CHECK(largest(w) <= bound);
  CHECK(largest(w) > 0.99 * bound);
  CHECK(std::abs(mean(w).item()) < 0.02 * bound);
  CHECK(mean(square(w)).item() == doctest::Approx(bound * bound / 3).epsilon(0.03));
  CHECK(initial_weight(Initial::standard, shape, again, in_double()).values() == w.values());
  CHECK(initial_weight(Initial::standard, shape, other, in_double()).values() != w.values());
  CHECK(initial_weight(Initial::standard, shape, again, in_double()).values() != w.values());

  const auto spread = [&](Initial initial) {
    return mean(square(initial_weight(initial, shape, rng, in_double()))).item();
  };
  CHECK(spread(Initial::kaiming_normal) == doctest::Approx(2.0 / 144).epsilon(0.06));
  CHECK(spread(Initial::kaiming_uniform) == doctest::Approx(2.0 / 144).epsilon(0.03));
  CHECK(largest(initial_weight(Initial::kaiming_uniform, shape, rng, in_double())) <=
        std::sqrt(6.0 / 144));
  CHECK(spread(Initial::xavier_uniform) == doctest::Approx(2.0 / 720).epsilon(0.03));
  CHECK(spread(Initial::xavier_normal) == doctest::Approx(2.0 / 720).epsilon(0.06));
  CHECK(spread(Initial::zero) == 0);
  CHECK(largest(initial_weight(Initial::xavier_uniform, shape, rng, in_double())) <=
        std::sqrt(6.0 / 720));

  const Tensor bias = initial_bias(Initial::standard, 500, 144, rng, in_double());
  CHECK(largest(bias) <= bound);
  CHECK(largest(bias) > 0.95 * bound);
  CHECK(largest(initial_bias(Initial::kaiming_normal, 500, 144, rng, in_double())) == 0);
}

TEST_CASE("initial values: float32 is float64 rounded, on every device the same") {
  Rng rng(3);
  const Values exact = normal_values({50}, 2, rng, in_double()).values();
  on_every_device([&] {
    Rng same(3);
    const Values rounded = normal_values({50}, 2, same, {.device = default_device()}).values();
    for (size_t i = 0; i < 50; ++i) {
      CHECK(rounded[i] == static_cast<double>(static_cast<float>(exact[i])));
    }
  });
}

TEST_CASE("layers: parameters have the shapes they say, bias where asked") {
  Rng rng(1);
  const Conv2d conv({.in = 6, .out = 4, .kernel = 3, .stride = 2, .padding = 1, .groups = 2}, rng);
  CHECK(conv.weight.shape() == Shape{4, 3, 3, 3});
  CHECK(conv(mixed({2, 5, 7, 6}, Dtype::f32)).shape() == Shape{2, 3, 4, 4});
  CHECK(conv.describe() == "Conv2d 6->4, 3x3, stride 2, padding 1, groups 2");
  const Conv1d line({.in = 2, .out = 3, .kernel = 3, .padding = 1, .bias = false}, rng);
  CHECK(line.parameter_count() == 18);
  CHECK(line(mixed({2, 5, 2}, Dtype::f32)).shape() == Shape{2, 5, 3});
  const Linear linear({.in = 3, .out = 2}, rng);
  const Tensor x = mixed({4, 5, 3}, Dtype::f32);
  check_close(linear(x), (matmul(x, transpose(linear.weight)) + linear.bias).values(), 1e-6);
  const GroupNorm narrow({.channels = 4});  // fewer channels than groups
  CHECK(narrow.describe() == "GroupNorm 4, 4 groups");
}

TEST_CASE("LayerNorm: every row has mean 0 and variance 1, then weight, bias and activation") {
  const LayerNorm norm({.channels = 5, .activation = Activation::relu, .parameters = in_double()});
  CHECK(norm.parameter_count() == 10);
  CHECK(norm.describe() == "LayerNorm 5 + relu");
  const Tensor x = mixed({2, 3, 5}, Dtype::f64);
  const Tensor weight = tensor({1, -2, 0.5, 3, 1}, {5}, Dtype::f64),
               bias = tensor({0, 1, -1, 0.5, 2}, {5}, Dtype::f64);
  copy_into(norm.weight, weight);
  copy_into(norm.bias, bias);
  const Tensor centred = x - mean(x, {2}, true);
  const Tensor unit = centred / sqrt(mean(square(centred), {2}, true) + 1e-5);
  check_close(norm(x), relu(unit * weight + bias).values(), 1e-12);
}

TEST_CASE("residual block: the shortcut is x, or a projection where the shape changes") {
  Rng rng(1);
  const PreActivationBlock same({.in = 4, .out = 4, .groups = 2, .parameters = in_double()}, rng);
  CHECK(same.parameter_count() == 2 * (4 * 4 * 9) + 2 * 8);
  const Tensor x = mixed({2, 5, 5, 4}, Dtype::f64);
  // With the last convolution at zero the block is its shortcut.
  for (const NamedTensor& p : same.named_parameters()) {
    if (p.name == "conv2.weight") copy_into(p.tensor, zeros_like(p.tensor));
  }
  CHECK(same(x).values() == x.values());
  const PreActivationBlock wider(
      {.in = 4, .out = 6, .stride = 2, .groups = 2, .parameters = in_double()}, rng);
  CHECK(wider.parameter_count() == 4 * 6 * 9 + 6 * 6 * 9 + 4 * 6 + 8 + 12);
  CHECK(wider(x).shape() == Shape{2, 3, 3, 6});
}

TEST_CASE("TimeConv1d and 2d: are the convolution of t joined to x, with its gradients") {
  Rng rng(5);
  for (const int dimensions : {1, 2}) {
    for (const TimeChannel place : {TimeChannel::first, TimeChannel::last}) {
      for (const int64_t kernel : {1, 3}) {
        CAPTURE(dimensions);
        CAPTURE(static_cast<int>(place));
        CAPTURE(kernel);
        const bool biased = kernel == 3;
        const TimeConvOptions options{.in = 3,
                                      .out = 4,
                                      .kernel = kernel,
                                      .padding = kernel / 2,
                                      .time = place,
                                      .bias = biased,
                                      .parameters = in_double()};
        const TimeConv1d line(options, rng);
        const TimeConv2d plane(options, rng);
        const TimeConv& layer = dimensions == 1 ? static_cast<const TimeConv&>(line) : plane;
        const Shape sizes = dimensions == 1 ? Shape{2, 5} : Shape{2, 5, 4};
        const auto with_channels = [&](int64_t n) {
          Shape shape = sizes;
          shape.push_back(n);
          return shape;
        };
        const Tensor x = mixed(with_channels(3), Dtype::f64), t = scalar(0.7, Dtype::f64),
                     g = mixed(with_channels(4), Dtype::f64, 3);
        Tensors inputs{x, t, layer.weight};
        if (biased) inputs.push_back(layer.bias);
        CHECK(layer.bias.defined() == biased);
        CHECK(contains(layer.describe(), "no bias") == !biased);

        Tape tape(inputs);
        const auto prepared = dimensions == 1 ? line.prepare(5) : plane.prepare(5, 4);
        const Tensor fast =
            layer.convolve(x, prepared.weight, prepared.bias) + t * prepared.time_map;
        const Tensor time = expand(t, with_channels(1));
        const Tensor joined = concatenate(
            place == TimeChannel::first ? Tensors{time, x} : Tensors{x, time}, dimensions + 1);
        const Tensor plain =
            dimensions == 1
                ? conv1d(joined, layer.weight, layer.bias, {.padding = kernel / 2})
                : conv2d(joined, layer.weight, layer.bias, {.padding = {kernel / 2, kernel / 2}});
        check_close(fast, plain.values(), 1e-14);
        const Tensors d = tape.gradient(fast, inputs, g),
                      expected = tape.gradient(plain, inputs, g);
        for (size_t i = 0; i < inputs.size(); ++i) {
          CAPTURE(i);
          check_close(d[i], expected[i].values(), 1e-13);
          CHECK(largest(d[i]) > 1e-3);
        }
      }
    }
  }
}

namespace {

// Mean and variance over n - 1 of each channel of x: (.., 2).
std::array<Values, 2> statistics(const Tensor& x) {
  const Values v = x.values();
  const size_t n = v.size() / 2;
  Values means(2), variances(2);
  for (size_t c = 0; c < 2; ++c) {
    for (size_t i = 0; i < n; ++i) means[c] += v[2 * i + c] / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i) {
      variances[c] += std::pow(v[2 * i + c] - means[c], 2) / static_cast<double>(n - 1);
    }
  }
  return {means, variances};
}

}  // namespace

TEST_CASE("BatchNorm: running statistics move like PyTorch's, one update after the other") {
  const BatchNorm norm({.channels = 2, .momentum = 0.25, .parameters = in_double()});
  const Tensor x[] = {mixed({3, 2, 2, 2}, Dtype::f64), mixed({2, 1, 2, 2}, Dtype::f64, 9)};
  Pass pass{.training = true};
  Values running_mean{0, 0}, running_variance{1, 1};
  for (size_t call = 0; call < 2; ++call) {
    const Tensor y = norm.forward(x[call], pass);
    const auto [means, variances] = statistics(y);
    for (size_t c = 0; c < 2; ++c) CHECK(std::abs(means[c]) < 1e-14);  // of this batch
    REQUIRE(pass.updates.size() == 2 * (call + 1));
    const auto [batch_mean, batch_variance] = statistics(x[call]);
    for (size_t c = 0; c < 2; ++c) {
      running_mean[c] = 0.75 * running_mean[c] + 0.25 * batch_mean[c];
      running_variance[c] = 0.75 * running_variance[c] + 0.25 * batch_variance[c];
    }
    const Pass::Update &m = pass.updates[2 * call], &v = pass.updates[2 * call + 1];
    CHECK(m.buffer.id() == norm.running_mean.id());
    CHECK(v.buffer.id() == norm.running_variance.id());
    check_close(m.value, running_mean, 1e-14);
    check_close(v.value, running_variance, 1e-14);
  }
  // The forward pass has written nothing.
  CHECK(norm.running_mean.values() == Values{0, 0});
  CHECK(norm.running_variance.values() == Values{1, 1});
  for (const Pass::Update& u : pass.updates) copy_into(u.buffer, u.value);
  check_close(norm.running_mean, running_mean, 1e-14);
  check_close(norm.running_variance, running_variance, 1e-14);
}

TEST_CASE("BatchNorm: outside of training it uses the running statistics and leaves no update") {
  const BatchNorm norm({.channels = 2, .epsilon = 0.01, .parameters = in_double()});
  copy_into(norm.running_mean, tensor({1, -2}, Dtype::f64));
  copy_into(norm.running_variance, tensor({0.35, 3.99}, Dtype::f64));
  Pass pass;
  const Tensor y = norm.forward(tensor({1.6, 2}, {1, 2}, Dtype::f64), pass);
  check_close(y, {1, 2}, 1e-14);
  CHECK(pass.updates.empty());
}

TEST_CASE("BatchNorm: a variance needs two values") {
  const BatchNorm norm({.channels = 2});
  Pass pass{.training = true};
  const Tensor x = zeros({1, 2});
  CHECK(message_of<ShapeError>([&] { norm.forward(x, pass); }) ==
        "batch_norm: x (1, 2) float32 has 1 value per channel; a variance needs two. Use a larger "
        "batch, or evaluate.\n  in BatchNorm 2");
  CHECK(pass.updates.empty());
}

TEST_CASE("initial values: orthogonal rows, or columns where there are fewer") {
  Rng rng(7);
  for (const Shape& shape : {Shape{4, 3, 3, 2}, Shape{20, 3, 1, 2}, Shape{5, 5}}) {
    CAPTURE(shape);
    const Tensor w = initial_weight(Initial::orthogonal, shape, rng, in_double());
    REQUIRE(w.shape() == shape);
    const Tensor m = w.reshape({shape[0], -1});
    const Tensor gram = m.dim(0) <= m.dim(1) ? matmul(m, m, {.transpose_b = true})
                                             : matmul(m, m, {.transpose_a = true});
    const int64_t n = gram.dim(0);
    const Tensor identity = one_hot(arange(n), n, Dtype::f64);
    CHECK(max(abs(gram - identity)).item() < 1e-13);
  }
}

TEST_CASE("pooling layers: the op with their options, and a name that says them") {
  Pass pass;
  const Tensor x = from_host(std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const PoolOptions overlapping{.window = {2, 2}, .stride = {1, 1}};
  CHECK(MaxPool2d(overlapping).forward(x, pass).values() == std::vector<double>{5, 6, 8, 9});
  CHECK(AveragePool2d(overlapping).forward(x, pass).values() == std::vector<double>{3, 4, 6, 7});
  const PoolOptions padded{.window = {3, 3}, .stride = {3, 3}, .padding = {1, 1}};
  CHECK(MaxPool2d(padded).describe() == "MaxPool2d 3x3, stride 3x3, padding 1x1");
  CHECK(AveragePool2d().describe() == "AveragePool2d 2x2, stride 2x2");
  CHECK(message_of<ShapeError>([&] {
          MaxPool2d().forward(x.reshape({9}), pass);
        }).find("in MaxPool2d 2x2") != std::string::npos);
}

TEST_CASE("norms by kind: what they normalise over, their weights, the time term") {
  const Tensor x = mixed({2, 3, 2, 4}, Dtype::f64);
  const auto made = [](NormKind kind) {
    return make_norm(kind, {.channels = 4, .groups = 2, .parameters = in_double()});
  };
  const auto mean_square = [](const Tensor& y, const Axes& axes) {
    return max(abs(mean(square(y), axes) - 1.0)).item() + max(abs(mean(y, axes))).item();
  };
  CHECK(mean_square((*made(NormKind::layer))(x), {1, 2, 3}) < 1e-4);
  CHECK(mean_square((*made(NormKind::instance))(x), {1, 2}) < 1e-4);
  CHECK(mean_square((*made(NormKind::group))(x).reshape({2, 6, 2, 2}), {1, 3}) < 1e-4);
  Pass training{.training = true};
  CHECK(mean_square(made(NormKind::batch)->forward(x, training), {0, 1, 2}) < 1e-4);
  CHECK((*made(NormKind::none))(x).values() == x.values());
  const std::pair<NormKind, int64_t> counts[] = {{NormKind::none, 0},
                                                 {NormKind::batch, 8},
                                                 {NormKind::group, 8},
                                                 {NormKind::layer, 8},
                                                 {NormKind::instance, 0}};
  for (const auto& [kind, count] : counts) CHECK(made(kind)->parameter_count() == count);
  // All of them add t * map before they normalise.
  const Tensor map = mixed({3, 2, 4}, Dtype::f64, 2), t = scalar(0.3, Dtype::f64);
  for (const auto& [kind, count] : counts) {
    const auto norm = made(kind);
    Pass pass;
    check_close(norm->apply_to(x, norm->weight, norm->bias, pass, {t, map}),
                (*norm)(x + t * map).values(), 1e-13);
  }
}

TEST_CASE("post-activation block: its definition, and a projection where the shape changes") {
  Rng rng(1);
  const PostActivationBlock same({.in = 4, .out = 4, .groups = 2, .parameters = in_double()}, rng);
  CHECK(same.parameter_count() == 2 * (4 * 4 * 9) + 2 * 8);
  const Tensor x = mixed({2, 5, 5, 4}, Dtype::f64);
  for (const NamedTensor& p : same.named_parameters()) {
    if (p.name == "norm2.weight") copy_into(p.tensor, zeros_like(p.tensor));
  }
  CHECK(same(x).values() == relu(x).values());  // the branch is 0 now
  const PostActivationBlock wider(
      {.in = 4, .out = 6, .stride = 2, .groups = 2, .parameters = in_double()}, rng);
  CHECK(wider.parameter_count() == 4 * 6 * 9 + 6 * 6 * 9 + 4 * 6 + 3 * 12);
  CHECK(wider(x).shape() == Shape{2, 3, 3, 6});
}

TEST_CASE("pre-activation block: the shortcut's convolution sees x, or its activation") {
  for (const bool raw : {false, true}) {
    CAPTURE(raw);
    Rng rng(1);
    const PreActivationBlock block({.in = 2,
                                    .out = 3,
                                    .stride = 2,
                                    .norm = NormKind::none,
                                    .raw_shortcut = raw,
                                    .parameters = in_double()},
                                   rng);
    Tensor projection;
    for (const NamedTensor& p : block.named_parameters()) {
      if (p.name == "conv2.weight") copy_into(p.tensor, zeros_like(p.tensor));
      if (p.name == "shortcut.weight") projection = p.tensor;
    }
    const Tensor x = mixed({1, 4, 4, 2}, Dtype::f64);
    CHECK(block(x).values() ==
          conv2d(raw ? x : relu(x), projection, {}, {.stride = {2, 2}}).values());
  }
}

TEST_CASE("sequential: layers in order, their names, and those without parameters") {
  Rng rng(1);
  Sequential net("Net");
  net.add("conv", std::make_unique<Conv2d>(Conv2dLayerOptions{.in = 2, .out = 3}, rng));
  net.add("activation", std::make_unique<ActivationLayer>(Activation::relu));
  net.add("flatten", std::make_unique<Flatten>());
  net.add("linear", std::make_unique<Linear>(LinearOptions{.in = 12, .out = 5}, rng));
  CHECK(net(mixed({2, 4, 4, 2}, Dtype::f32)).shape() == Shape{2, 5});
  CHECK(net.named_parameters()[2].name == "linear.weight");
  // Flatten: channels first, as PyTorch.
  const Tensor x = mixed({1, 2, 2, 3}, Dtype::f64);
  CHECK(Flatten()(x).values()[4] == x.values()[3 * 0 + 1]);  // channel 1 of the first pixel
  CHECK(Flatten()(x).values()[5] == x.values()[3 * 1 + 1]);
  CHECK(GlobalAveragePool()(x).shape() == Shape{1, 3});
  CHECK(message_of<ShapeError>([&] {
          net(zeros({1, 4, 4, 3}));
        }).ends_with("in conv (Conv2d 2->3, 3x3)"));
  CHECK_THROWS_AS(Normalize({0.5, 0.5}, {1}), ValueError);
  CHECK_THROWS_AS(Normalize({0.5}, {0}), ValueError);
}

TEST_CASE("dropout: drops its share in training, keeps the mean, and is not there otherwise") {
  const Dropout layer(0.25);
  CHECK(layer.key_count() == 1);
  const Tensor x = ones({100, 100}, Dtype::f64);
  CHECK(layer(x).values() == x.values());
  Pass pass{.training = true, .keys = {make_key(1, 2, 3)}};
  const Tensor y = layer.forward(x, pass);
  for (const double v : y.values()) CHECK((v == 0 || v == 1 / 0.75));
  CHECK(mean(y).item() == doctest::Approx(1).epsilon(0.02));
  CHECK_THROWS_AS(layer.forward(x, pass), ValueError);  // no key is left
  CHECK_THROWS_AS(Dropout(1), ValueError);
}
