// Winograd's route of convolution: its band around the definition, what its bits may depend on, and
// which calls take it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/cpu/conv.h"
#include "tests/backends/conv_cases.h"

namespace {

using namespace slope::cpu;
using namespace slope::cpu::test;

constexpr ConvRoute kWinograd = ConvRoute::winograd;

Sizes square(int64_t batch, int64_t side, int64_t channels, int64_t filters, int64_t padding = 1) {
  return {batch, side, side, channels, filters, 3, 3, 1, 1, padding, padding};
}

const Sizes kSizes[] = {
    square(4, 6, 64, 64),                 // the field of odenet-mnist: F(6 x 6, 3 x 3), one tile
    square(3, 8, 32, 16, 0),              // without padding: 6 x 6 results
    square(2, 4, 16, 32, 2),              // as the data gradient of that: 6 x 6 results
    square(3, 4, 32, 64),                 // F(4 x 4, 3 x 3), one tile
    square(3, 7, 64, 64),                 // tiles that stick out by one
    square(2, 8, 16, 48),                 // four whole tiles
    square(1, 13, 64, 64),                // tiles that stick out by three
    square(1, 14, 48, 16),                //
    square(1, 16, 32, 32),                //
    square(37, 5, 16, 16),                // many tiles: several chunks
    square(1, 3, 16, 16),                 // an image smaller than its tile
    square(1, 1, 16, 16),                 // one pixel
    {2, 9, 5, 16, 32, 3, 3, 1, 1, 1, 1},  // not square
};

// rms and largest error, relative to the rms of the expected values.
struct Errors {
  double rms = 0, largest = 0;
  Errors(const std::vector<float>& found, const Expected& expected) {
    double errors = 0, values = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      const double error = std::abs(found[i] - expected.value[i]);
      errors += error * error;
      values += expected.value[i] * expected.value[i];
      if (!(error <= largest)) largest = error;
    }
    rms = std::sqrt(errors / values);
    largest /= std::sqrt(values / static_cast<double>(found.size()));
  }
};

TEST_CASE("Winograd's convolution is within its band of the definition in all passes") {
  for (const Sizes& sizes : kSizes) {
    const ConvShape s = shape(sizes);
    const Data<float> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      for (const bool with_bias : {true, false}) {
        if (with_bias && pass != ConvPass::forward) continue;
        const Errors errors(run(s, pass, kWinograd, data, with_bias),
                            by_definition(s, pass, data, with_bias));
        CHECK(errors.rms < 5e-6);  // the band of the conformance suite is 1e-5 and 1e-4
        CHECK(errors.largest < 5e-5);
      }
    }
  }
}

TEST_CASE("Winograd's convolution gives the same bits on 1, 2 and 8 threads") {
  for (const size_t index : {0u, 4u, 6u}) {
    ConvShape s = shape(kSizes[index]);
    s.batch = 35;
    const Data<float> data(s);
    INFO(text(s));
    for (const ConvPass pass : kPasses) {
      INFO(name_of(pass));
      std::vector<float> expected;
      for (const int count : {1, 2, 8}) {
        const Threads scope(count);
        const std::vector<float> found = run(s, pass, kWinograd, data);
        if (expected.empty()) expected = found;
        CHECK(same_bits(found, expected));
      }
      Convolution<float> prepared(s, pass, kWinograd);  // for another number of threads
      const Threads scope(5);
      CHECK(same_bits(run(prepared, s, pass, data, true), expected));
    }
  }
}

// The images [begin, begin + batch) of a batch.
Data<float> part(const Data<float>& data, const ConvShape& whole, int64_t begin, int64_t batch) {
  const auto cut = [&](const std::vector<float>& values) {
    const auto image = static_cast<int64_t>(values.size()) / whole.batch;
    return std::vector<float>(values.begin() + begin * image,
                              values.begin() + (begin + batch) * image);
  };
  Data<float> some = data;
  some.x = cut(data.x), some.g = cut(data.g);
  return some;
}

TEST_CASE("Winograd's convolution: a sample does not depend on its batch") {
  for (const size_t index : {0u, 4u, 5u}) {
    ConvShape whole = shape(kSizes[index]);
    whole.batch = 70;
    const Data<float> data(whole);
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const std::vector<float> all = run(whole, pass, kWinograd, data);
      const int64_t image = result_size(whole, pass) / whole.batch;
      for (const int64_t batch : {1, 3, 33}) {
        for (const int64_t begin : {0, 5, 37}) {
          ConvShape some = whole;
          some.batch = batch;
          INFO(text(whole), " ", name_of(pass), ": ", batch, " images from ", begin);
          const auto found = run(some, pass, kWinograd, part(data, whole, begin, batch));
          CHECK(std::memcmp(found.data(), all.data() + begin * image,
                            found.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("Winograd's convolution: a sample's NaN and Inf stay that sample's") {
  for (const size_t index : {0u, 4u}) {
    ConvShape s = shape(kSizes[index]);
    s.batch = 5;
    const Data<float> data(s);
    for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
      const std::vector<float> before = run(s, pass, kWinograd, data);
      const int64_t image = result_size(s, pass) / s.batch;
      for (const float bad :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Data<float> sick = data;
        sick.x[2 * x_size(s) / s.batch + 70] = bad;
        sick.g[2 * y_size(s) / s.batch + 70] = bad;
        std::vector<float> found = run(s, pass, kWinograd, sick);
        int64_t harmed = 0;
        for (int64_t i = 2 * image; i < 3 * image; ++i) {
          harmed += !std::isfinite(found[i]);
          found[i] = before[i];
        }
        CHECK(harmed > 0);
        CHECK(same_bits(found, before));
      }
    }
  }
}

TEST_CASE("Winograd's convolution of values up to 1e30 does not overflow") {
  const ConvShape s = shape(kSizes[0]);
  Data<float> data(s);
  for (float& x : data.x) x *= 1e30f;
  for (float& g : data.g) g *= 1e30f;
  for (const ConvPass pass : {ConvPass::forward, ConvPass::data_gradient}) {
    const Errors errors(run(s, pass, kWinograd, data, false), by_definition(s, pass, data, false));
    CHECK(errors.rms < 5e-6);
  }
}

TEST_CASE("Winograd's route: who takes it depends on the shape, but not on the batch") {
  const auto route = [](const Sizes& sizes, ConvPass pass, ConvRoute wish) {
    return Convolution<float>(shape(sizes), pass, wish).route();
  };
  for (const int64_t batch : {1, 2, 128}) {
    for (const ConvPass pass : kPasses) {
      INFO(batch, " ", name_of(pass));
      CHECK(route(square(batch, 6, 64, 64), pass, ConvRoute::automatic) == kWinograd);
      CHECK(route(square(batch, 7, 64, 64), pass, ConvRoute::automatic) == kWinograd);
      CHECK(route(square(batch, 6, 64, 64), pass, ConvRoute::direct) != kWinograd);
      CHECK(route(square(batch, 6, 16, 64), pass, ConvRoute::automatic) != kWinograd);
      CHECK(route(square(batch, 6, 72, 72), pass, ConvRoute::automatic) != kWinograd);
      CHECK(route({batch, 6, 6, 64, 64, 3, 3, 2, 2, 1, 1}, pass, ConvRoute::automatic) !=
            kWinograd);
      CHECK(Convolution<double>(shape(square(batch, 6, 64, 64)), pass).route() == ConvRoute::own);
    }
  }
}

TEST_CASE("Winograd's route refuses what it cannot serve") {
  for (const Sizes& sizes : {square(1, 6, 8, 16), square(1, 6, 16, 24), square(1, 6, 16, 16, 3),
                             Sizes{1, 6, 6, 16, 16, 5, 5}, Sizes{1, 6, 6, 16, 16, 3, 3, 2, 2},
                             Sizes{1, 9, 9, 16, 16, 3, 3, 1, 1, 1, 1, 2, 2},
                             Sizes{1, 6, 6, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 2}}) {
    INFO(text(shape(sizes)));
    CHECK_THROWS_WITH_AS(Convolution<float>(shape(sizes), ConvPass::forward, kWinograd),
                         doctest::Contains("Winograd's route cannot serve this call"),
                         std::exception);
  }
  CHECK_THROWS_WITH_AS(Convolution<double>(shape(kSizes[0]), ConvPass::forward, kWinograd),
                       doctest::Contains("Winograd's route cannot serve this call"),
                       std::exception);
}

TEST_CASE("Winograd's convolution of an empty batch") {
  ConvShape s = shape(kSizes[0]);
  s.batch = 0;
  const Data<float> data(s);
  CHECK(run(s, ConvPass::forward, kWinograd, data).empty());
  CHECK(run(s, ConvPass::weight_gradient, kWinograd, data) == std::vector<float>(w_size(s), 0.0f));
}

}  // namespace
