// Random numbers: the published vectors of Philox, statistics, and what the host draws.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/ops.h"
#include "core/ops/philox.h"

using namespace slope;
using Values = std::vector<double>;

namespace {

std::vector<uint32_t> words(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  const PhiloxWords w = philox_words(counter.data(), key.data());
  return {w.word, w.word + 4};
}

struct Moments {
  double mean, variance, skewness, kurtosis;
};
Moments moments(const Values& values) {
  const double n = static_cast<double>(values.size());
  double mean = 0, m2 = 0, m3 = 0, m4 = 0;
  for (double v : values) mean += v / n;
  for (double v : values) {
    const double d = v - mean;
    m2 += d * d / n;
    m3 += d * d * d / n;
    m4 += d * d * d * d / n;
  }
  return {mean, m2, m3 / std::pow(m2, 1.5), m4 / (m2 * m2)};
}

}  // namespace

TEST_CASE("Philox gives the vectors of its authors") {
  // Known answers of philox4x32 with 10 rounds, from the Random123 distribution.
  const uint32_t all = 0xffffffff;
  CHECK(words({0, 0, 0, 0}, {0, 0}) ==
        std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words({all, all, all, all}, {all, all}) ==
        std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  // The same through the host's entry: seed, stream, counter and block in their places.
  CHECK(philox(0x299f31d0a4093822, 0x13198a2e, 0x03707344, 0x85a308d3243f6a88) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("value i of a uniform tensor is a function of the key and of i") {
  const uint64_t seed = 0x123456789abcdef0;
  for (const Device device : devices()) {
    CAPTURE(device.name());
    const Tensor key = make_key(seed, 3, 7, device);
    const Values singles = uniform(key, {11}).values();
    const Values doubles = uniform(key, {7}, Dtype::f64).values();
    for (uint64_t i = 0; i < 11; ++i) {
      CHECK(singles[i] == double(philox(seed, 3, 7, i / 4)[i % 4] >> 8) / 16777216);
    }
    for (uint64_t i = 0; i < 7; ++i) {
      const auto w = philox(seed, 3, 7, i / 2);
      const uint64_t bits = uint64_t{w[i % 2 * 2]} << 32 | w[i % 2 * 2 + 1];
      CHECK(doubles[i] == std::ldexp(double(bits >> 11), -53));
    }
    // The shape only arranges: a longer tensor begins like a shorter one.
    Values longer = uniform(key, {3, 1000}).values();
    longer.resize(11);
    CHECK(longer == singles);
    CHECK(uniform(make_key(seed, 3, 8, device), {11}).values() != singles);
    CHECK(uniform(make_key(seed, 4, 7, device), {11}).values() != singles);
    CHECK(uniform(make_key(seed + 1, 3, 7, device), {11}).values() != singles);
  }
}

TEST_CASE("statistics of uniform and normal values") {
  const int64_t n = 200000;
  for (const Device device : devices()) {
    const DeviceScope scope(device);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      CAPTURE(dtype);
      Values u = uniform(make_key(1, 0, 0), {n}, dtype).values();
      const Moments flat = moments(u);
      const double sigma = 1 / std::sqrt(double(n));  // of a mean of values with variance 1
      CHECK(std::abs(flat.mean - 0.5) < 4 * sigma / std::sqrt(12.0));
      CHECK(std::abs(flat.variance - 1.0 / 12) < 4 * sigma / std::sqrt(180.0));
      std::sort(u.begin(), u.end());
      CHECK(u.front() >= 0);
      CHECK(u.back() < 1);
      double distance = 0;  // Kolmogorov and Smirnov; 1.95 is passed once in a thousand seeds
      for (size_t i = 0; i < u.size(); ++i) {
        distance = std::max(distance, std::abs(u[i] - (double(i) + 0.5) / double(n)));
      }
      CHECK(distance * std::sqrt(double(n)) < 1.95);

      Values z = normal(make_key(1, 0, 0), {n}, dtype).values();
      const Moments bell = moments(z);
      CHECK(std::abs(bell.mean) < 4 * sigma);
      CHECK(std::abs(bell.variance - 1) < 4 * sigma * std::sqrt(2.0));
      CHECK(std::abs(bell.skewness) < 4 * sigma * std::sqrt(6.0));
      CHECK(std::abs(bell.kurtosis - 3) < 4 * sigma * std::sqrt(24.0));
      double product = 0;  // the two values of a pair know nothing of each other
      for (size_t i = 0; i + 1 < z.size(); i += 2) product += z[i] * z[i + 1] * 2 / double(n);
      CHECK(std::abs(product) < 4 * sigma * std::sqrt(2.0));
      std::sort(z.begin(), z.end());
      distance = 0;
      for (size_t i = 0; i < z.size(); ++i) {
        const double expected = 0.5 * std::erfc(-z[i] / std::sqrt(2.0));
        distance = std::max(distance, std::abs(expected - (double(i) + 0.5) / double(n)));
      }
      CHECK(distance * std::sqrt(double(n)) < 1.95);
    }
  }
}

TEST_CASE("normal values come in pairs: a radius with a cosine and a sine") {
  const Values u = uniform(make_key(5, 0, 0), {4}).values();
  const Values z = normal(make_key(5, 0, 0), {3}).values();
  const double pi = std::acos(-1.0);
  for (size_t i = 0; i < 3; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - u[i / 2 * 2])),
                 angle = 2 * pi * u[i / 2 * 2 + 1];
    CHECK(z[i] ==
          doctest::Approx(radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle))).epsilon(1e-5));
  }
}

TEST_CASE("the host's draws") {
  Rng rng(42, 1);
  CHECK(rng.next_key().values() == Values{42, 0, 1, 0});
  CHECK(rng.next_key().values() == Values{42, 0, 1, 1});
  CHECK(rng.counter() == 2);
  const double first = rng.uniform(), second = rng.uniform();
  CHECK(first != second);
  rng.set_counter(2);
  CHECK(rng.uniform() == first);
  CHECK(Rng(42).split(9).stream() == 9);

  std::vector<int> counts(7, 0);
  Values draws;
  for (int i = 0; i < 70000; ++i) {
    const uint64_t x = rng.below(7);
    REQUIRE(x < 7);
    ++counts[x];
    draws.push_back(rng.uniform());
  }
  for (const int count : counts) CHECK(std::abs(count - 10000) < 4 * std::sqrt(10000 * 6 / 7.0));
  CHECK(std::abs(moments(draws).mean - 0.5) < 4 / std::sqrt(12 * 70000.0));
  CHECK(rng.below(1) == 0);
  const uint64_t large = (uint64_t{1} << 63) + 1;  // every second draw is thrown away
  for (int i = 0; i < 100; ++i) CHECK(rng.below(large) < large);
}

TEST_CASE("a permutation has every number once, every order equally often, and costs one counter") {
  Rng rng(3);
  std::vector<int64_t> order = rng.permutation(1000);
  CHECK(rng.counter() == 1);
  CHECK(order != rng.permutation(1000));
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 1000; ++i) CHECK(order[static_cast<size_t>(i)] == i);
  CHECK(rng.permutation(0).empty());
  CHECK(rng.permutation(1) == std::vector<int64_t>{0});

  std::vector<int> counts(27, 0);
  for (int i = 0; i < 6000; ++i) {
    const auto p = rng.permutation(3);
    ++counts[static_cast<size_t>(p[0] * 9 + p[1] * 3 + p[2])];
  }
  int seen = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    ++seen;
    CHECK(std::abs(count - 1000) < 4 * std::sqrt(1000 * 5 / 6.0));
  }
  CHECK(seen == 6);
}

TEST_CASE("messages of random ops") {
  for (const Device device : devices()) {
    const DeviceScope scope(device);
    CHECK_THROWS_WITH_AS(uniform(arange(3), {2}),
                         "uniform: key (3) int32 must be (4) int32. Use rng.next_key() or "
                         "make_key().",
                         ShapeError);
    CHECK_THROWS_WITH_AS(normal(make_key(0, 0, 0), {2}, Dtype::i32),
                         "normal: dtype int32 must be float32 or float64. Write Dtype::f32.",
                         DtypeError);
    CHECK_THROWS_WITH_AS(normal(make_key(0, 0, 0), {-2}), "normal: negative length in shape (-2).",
                         ShapeError);
  }
  CHECK_THROWS_WITH_AS(Rng(0).below(0),
                       "Rng::below: n is 0; there is no number below it. Pass 1 or more.",
                       ValueError);
  CHECK_THROWS_WITH_AS(Rng(0).permutation(-1), "Rng::permutation: n is -1. It must be 0 or more.",
                       ValueError);
}
