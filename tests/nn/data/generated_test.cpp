// Data sets that are made, not read: concentric spheres and three minima.
#include <array>
#include <cmath>

#include "nn/data/minima.h"
#include "nn/data/spheres.h"
#include "tests/nn/message_of.h"

using namespace slope;
using namespace slope::nn;
using namespace slope::test;

TEST_CASE("spheres: three shells, the middle one of class 1") {
  for (const int64_t dim : {1, 2, 5}) {
    CAPTURE(dim);
    const Dataset data = spheres({.dim = dim, .size = 2000, .seed = 4});
    REQUIRE(data.size() == 2000);
    CHECK(data.sample == Shape{dim});
    CHECK(data.classes == 2);
    REQUIRE(data.points.size() == static_cast<size_t>(2000 * dim));
    std::array<int64_t, 3> counts{};
    std::array<double, 3> mean_radius{};
    std::vector<double> center(static_cast<size_t>(dim));
    for (size_t i = 0; i < 2000; ++i) {
      double square = 0;
      for (size_t j = 0; j < center.size(); ++j) {
        const double x = data.points[i * center.size() + j];
        square += x * x;
        center[j] += x / 2000;
      }
      const double r = std::sqrt(square), slack = 1e-6;  // float32
      const int shell = r < 0.2 ? 0 : r < 0.35 ? 1 : 2;
      const double low = std::array{0.10, 0.25, 0.40}[static_cast<size_t>(shell)];
      CHECK(r >= low - slack);
      CHECK(r <= low + 0.05 + slack);
      CHECK(data.labels[i] == (shell == 1));
      ++counts[static_cast<size_t>(shell)];
      mean_radius[static_cast<size_t>(shell)] += r;
    }
    CHECK(counts == std::array<int64_t, 3>{500, 1000, 500});
    // E[U^(1/d)] = d / (d + 1): points lean to the outside in many dimensions.
    const double share = static_cast<double>(dim) / static_cast<double>(dim + 1);
    CHECK(mean_radius[1] / 1000 == doctest::Approx(0.25 + 0.05 * share).epsilon(0.005));
    for (double c : center) CHECK(std::abs(c) < 0.03);  // directions are all alike
  }
}

TEST_CASE("spheres: the same seed gives the same points, a test set others") {
  const Dataset data = spheres({.size = 40, .seed = 4});
  CHECK(spheres({.size = 40, .seed = 4}).points == data.points);
  CHECK(spheres({.size = 40, .seed = 5}).points != data.points);
  const Dataset test = spheres({.size = 40, .seed = 4, .test = true});
  CHECK(test.points != data.points);
  CHECK(test.name == "spheres,dim=2 test");
  CHECK(data.name == "spheres,dim=2 train");
  CHECK(message_of<ValueError>([] { spheres({.dim = 0}); }) ==
        "spheres: dim must be at least 1, got 0.");
  CHECK(message_of<ValueError>([] { spheres({.size = 10}); }) ==
        "spheres: the number of points must be a positive multiple of 4, got 10.");
  CHECK(contains(message_of<ValueError>([] { spheres({.dim = int64_t{1} << 40, .size = 4}); }),
                 "are more than the 268435456 values allowed"));
  CHECK(contains(message_of<ValueError>([] { spheres({.dim = 900, .size = 400'000}); }),
                 "400000 points of 900 coordinates"));
}

TEST_CASE("minima: labels are where the ball ends, by another way of computing it") {
  const Dataset data = minima({.size = 300, .seed = 2});
  CHECK(data.sample == Shape{2});
  CHECK(data.classes == 3);
  constexpr std::array<double, 3> kMinima = {-0.85015, 0.26895, 1.83945};
  std::array<int, 3> counts{};
  for (size_t i = 0; i < 300; ++i) {
    double x = data.points[2 * i], v = data.points[2 * i + 1];
    CHECK(std::fabs(x - 0.5) <= 1.5);
    CHECK(std::fabs(v) <= 2);
    // V as a product: its derivative by differences. Velocity Verlet, half steps for the friction.
    const auto potential = [](double s) {
      return 0.2 * s * (s - 2) * (s - 0.5) * (s + 1) * (s + 0.6) * (s - 1.6);
    };
    const auto force = [&](double s) { return (potential(s - 1e-5) - potential(s + 1e-5)) / 2e-5; };
    constexpr double kStep = 0.01;
    const double friction = std::exp(-0.2 * kStep / 2);
    for (int step = 0; step < 10'000; ++step) {  // to t = 100
      v = friction * v + kStep / 2 * force(x);
      x += kStep * v;
      v = friction * (v + kStep / 2 * force(x));
    }
    const auto label = static_cast<size_t>(data.labels[i]);
    ++counts[label];
    CAPTURE(i);
    CHECK(std::fabs(x - kMinima[label]) < 0.02);
    CHECK(std::fabs(v) < 1e-3);
  }
  for (const int n : counts) CHECK(n > 60);
}

TEST_CASE("minima: the same seed gives the same samples, a test set others") {
  const Dataset data = minima({.size = 40, .seed = 4});
  CHECK(minima({.size = 40, .seed = 4}).points == data.points);
  CHECK(minima({.size = 40, .seed = 5}).points != data.points);
  CHECK(minima({.size = 40, .seed = 4, .test = true}).points != data.points);
  CHECK(minima({.size = 1, .test = true}).name == "minima test");
  CHECK(message_of<ValueError>([] { minima({.size = 0}); }) ==
        "minima: the number of samples must be from 1 to 4194304, got 0.");
}
