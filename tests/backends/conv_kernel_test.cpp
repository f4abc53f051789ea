// Convolution of the cpu backend, both direct routes: against plain loops, and for what its bits
// may depend on.
#include "backends/cpu/conv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/cpu/isa.h"
#include "backends/cpu/threads.h"
#include "tests/backends/conv_cases.h"
#include "tests/skip.h"

namespace {

using namespace slope::cpu;
using namespace slope::cpu::test;

const Sizes kSizes[] = {
    {4, 6, 6, 64, 64, 3, 3, 1, 1, 1, 1},        // the field of odenet-mnist
    {3, 13, 13, 16, 24, 4, 4, 2, 2, 1, 1},      // its stem
    {5, 28, 28, 1, 64, 3, 3},                   // its first layer
    {2, 9, 7, 3, 5, 3, 3, 1, 1, 1, 1},          // few channels
    {3, 8, 11, 5, 7, 3, 2, 2, 3, 1, 0},         // nothing square
    {2, 12, 10, 4, 6, 3, 3, 1, 1, 2, 2, 2, 2},  // dilation
    {2, 12, 13, 4, 6, 3, 3, 2, 2, 2, 3, 3,
     2},  // dilation and stride, with and without a common factor
    {2, 11, 11, 3, 4, 3, 3, 4, 2, 0, 1, 2, 4},    //
    {2, 7, 7, 8, 12, 3, 3, 1, 1, 1, 1, 1, 1, 4},  // groups
    {2, 8, 8, 6, 6, 3, 3, 2, 2, 1, 1, 1, 1, 6},   // one channel each
    {2, 9, 9, 8, 16, 1, 1},                       // pointwise
    {2, 9, 9, 8, 16, 1, 1, 2, 2},  // pointwise with a stride: pixels that nothing reads
    {2, 9, 9, 8, 6, 1, 1, 1, 1, 0, 0, 1, 1, 2},  // pointwise in groups
    {2, 5, 5, 4, 4, 2, 2, 1, 1, 3, 3},           // more padding than kernel
    {2, 10, 10, 4, 4, 2, 2, 3, 3},               // stride above kernel
    {2, 5, 6, 4, 4, 5, 6},                       // one output pixel
    {37, 1, 2, 1, 32, 1, 1},                     // spheres: one-dimensional
    {37, 1, 2, 33, 32, 1, 3, 1, 1, 0, 1},        //
    {9, 1, 50, 3, 8, 1, 5, 1, 2, 0, 2, 1, 3},    //
    {1, 20, 20, 100, 30, 3, 3, 1, 1, 1, 1},      // one image, odd numbers of channels
    {11, 4, 4, 20, 9, 3, 3, 1, 1, 1, 1},         // a batch that chunks do not divide
    {2, 3, 1, 4, 3, 3, 3, 3, 3, 1, 1},           // stride above the image
};

template <typename T>
void check_route(ConvRoute route) {
  for (const Sizes& sizes : kSizes) {
    const ConvShape s = shape(sizes);
    const Data<T> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      for (const bool with_bias : {true, false}) {
        if (with_bias && pass != ConvPass::forward) continue;
        const Expected expected = by_definition(s, pass, data, with_bias);
        CHECK(worst_error(run(s, pass, route, data, with_bias), expected) < 12);
      }
    }
  }
}

bool has_onednn() {
  try {
    Convolution<float>(shape(kSizes[0]), ConvPass::forward, ConvRoute::onednn);
    return true;
  } catch (...) {
    return false;
  }
}

TEST_CASE_TEMPLATE("own convolution equals its definition in all passes", T, float, double) {
  check_route<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution equals its definition in all passes") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_route<float>(ConvRoute::onednn);
}

TEST_CASE_TEMPLATE("the faster direct route of convolution equals the definition", T, float,
                   double) {
  check_route<T>(ConvRoute::direct);
}

TEST_CASE("oneDNN cannot serve float64 and says so") {
  CHECK_THROWS_WITH_AS(Convolution<double>(shape(kSizes[0]), ConvPass::forward, ConvRoute::onednn),
                       doctest::Contains("conv2d: oneDNN cannot serve this call"), std::exception);
}

template <typename T>
void check_threads(ConvRoute route) {
  for (const size_t index : {0u, 1u, 2u, 6u, 8u, 20u}) {
    ConvShape s = shape(kSizes[index]);
    s.batch = 35;  // work enough for several threads
    const Data<T> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      std::vector<T> expected;
      for (const int count : {1, 2, 8}) {
        const Threads scope(count);
        const std::vector<T> found = run(s, pass, route, data);
        if (expected.empty()) expected = found;
        CHECK(same_bits(found, expected));
      }
      // A convolution prepared before the number of threads changed.
      Convolution<T> prepared(s, pass, route);
      const Threads scope(5);
      CHECK(same_bits(run(prepared, s, pass, data, true), expected));
    }
  }
}

TEST_CASE_TEMPLATE("own convolution gives the same bits on 1, 2 and 8 threads", T, float, double) {
  check_threads<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution gives the same bits on 1, 2 and 8 threads") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_threads<float>(ConvRoute::onednn);
}

template <typename T>
void check_batch(ConvRoute route) {
  for (const size_t index : {0u, 1u, 2u, 3u, 6u, 8u, 17u, 19u}) {
    ConvShape whole = shape(kSizes[index]);
    whole.batch = 40;
    const Data<T> data(whole);
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const std::vector<T> all = run(whole, pass, route, data);
      const int64_t image = result_size(whole, pass) / whole.batch;
      for (const int64_t batch : {1, 3, 17}) {
        for (const int64_t begin : {0, 5, 23}) {
          ConvShape part = whole;
          part.batch = batch;
          INFO(text(whole), " ", name_of(pass), ": ", batch, " images from ", begin);
          Data<T> some = data;
          some.x.erase(some.x.begin(), some.x.begin() + begin * x_size(part) / batch);
          some.g.erase(some.g.begin(), some.g.begin() + begin * y_size(part) / batch);
          const std::vector<T> found = run(part, pass, route, some);
          CHECK(std::memcmp(found.data(), all.data() + begin * image, found.size() * sizeof(T)) ==
                0);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("own convolution: a sample does not depend on its batch", T, float, double) {
  check_batch<T>(ConvRoute::own);
}

TEST_CASE("oneDNN convolution: a sample does not depend on its batch") {
  if (!has_onednn()) SKIP_TEST("slope was built without oneDNN");
  check_batch<float>(ConvRoute::onednn);
}

TEST_CASE("convolution keeps transformed weights while their version stays, and only then") {
  for (const ConvRoute route : {ConvRoute::own, ConvRoute::automatic}) {
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const ConvShape s = shape(kSizes[0]);
      Data<float> data(s);
      Convolution<float> convolution(s, pass, route);
      const auto before = run(convolution, s, pass, data, false, {7, 1});
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 1}), before));
      for (float& w : data.w) w *= 2;
      auto doubled = before;
      for (float& value : doubled) value *= 2;
      // The caller promised that nothing changed: the kept copy is used.
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 1}), before));
      CHECK(same_bits(run(convolution, s, pass, data, false, {7, 2}), doubled));
      for (float& w : data.w) w /= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false, {8, 2}), before));
      for (float& w : data.w) w *= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false), doubled));  // nameless: never kept
      for (float& w : data.w) w /= 2;
      CHECK(same_bits(run(convolution, s, pass, data, false), before));
    }
  }
}

TEST_CASE("convolution keeps the weights of layers that take turns") {
  for (const ConvRoute route : {ConvRoute::own, ConvRoute::direct, ConvRoute::automatic}) {
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const ConvShape s = shape(kSizes[0]);
      Convolution<float> convolution(s, pass, route);
      Data<float> layers[] = {Data<float>(s), Data<float>(s), Data<float>(s)};
      for (float& w : layers[1].w) w *= 3;
      for (float& w : layers[2].w) w *= 5;
      // The third has the storage of the second and another place in it.
      const auto version = [&](int layer) {
        return WeightVersion{
            .storage = layer == 0 ? 7u : 8u, .version = 1, .data = layers[layer].w.data()};
      };
      std::vector<float> before[3];
      for (int i = 0; i < 3; ++i) {
        before[i] = run(convolution, s, pass, layers[i], false, version(i));
      }
      CHECK(before[0] != before[1]);
      CHECK(before[1] != before[2]);
      for (Data<float>& layer : layers) std::fill(layer.w.begin(), layer.w.end(), 0.0f);
      for (int i = 0; i < 3; ++i) {  // promised to be unchanged: all three copies are still there
        CHECK(same_bits(run(convolution, s, pass, layers[i], false, version(i)), before[i]));
      }
    }
  }
}

TEST_CASE_TEMPLATE("convolution of an empty batch", T, float, double) {
  ConvShape s = shape(kSizes[1]);
  s.batch = 0;
  const Data<T> data(s);
  CHECK(run(s, ConvPass::forward, ConvRoute::automatic, data).empty());
  CHECK(run(s, ConvPass::data_gradient, ConvRoute::automatic, data).empty());
  CHECK(run(s, ConvPass::weight_gradient, ConvRoute::automatic, data) ==
        std::vector<T>(w_size(s), T(0)));
}

TEST_CASE_TEMPLATE("bias gradient: sums, and the same bits on 1, 2 and 8 threads", T, float,
                   double) {
  for (const int64_t rows : {0, 1, 31, 129, 5000}) {
    for (const int64_t filters : {1, 10, 64}) {
      INFO("rows ", rows, " filters ", filters);
      const auto g = random_values<T>(rows * filters, 1);
      const size_t bytes = bias_gradient_scratch_bytes(rows, filters, sizeof(T));
      std::vector<T> scratch(bytes / sizeof(T)), expected;
      for (const int count : {1, 2, 8}) {
        const Threads scope(count);
        std::vector<T> found(filters, T(-1));
        bias_gradient(rows, filters, g.data(), found.data(), scratch.data());
        if (expected.empty()) expected = found;
        CHECK(same_bits(found, expected));
      }
      double worst = 0;
      for (int64_t k = 0; k < filters; ++k) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < rows; ++i)
          sum += g[i * filters + k], magnitude += std::abs(g[i * filters + k]);
        worst = std::max(
            worst, std::abs(expected[k] - sum) - 8 * std::numeric_limits<T>::epsilon() * magnitude);
      }
      CHECK(worst <= 0);
    }
  }
}

}  // namespace
