#include "nn/data/spheres.h"

#include <array>
#include <cmath>
#include <numbers>

#include "core/random.h"

namespace slope::nn {
namespace {

constexpr uint32_t kTrainStream = 0x51, kTestStream = 0x52;
constexpr int64_t kMostValues = int64_t{1} << 28;  // 1 GiB of points

struct Shell {
  double low, high;
  int32_t label;
  int64_t quarters;
};
constexpr std::array<Shell, 3> kShells = {
    {{0.10, 0.15, 0, 1}, {0.25, 0.30, 1, 2}, {0.40, 0.45, 0, 1}}};

}  // namespace

Dataset spheres(const SpheresOptions& options) {
  if (options.dim < 1)
    throw ValueError(concat("spheres: dim must be at least 1, got ", options.dim, "."));
  if (options.size < 4 || options.size % 4 != 0) {
    throw ValueError(concat("spheres: the number of points must be a positive multiple of 4, got ",
                            options.size, "."));
  }
  if (options.dim > kMostValues || options.size > kMostValues / options.dim) {
    throw ValueError(concat("spheres: ", options.size, " points of ", options.dim,
                            " coordinates are more than the ", kMostValues, " values allowed."));
  }
  Dataset data{.name = concat("spheres,dim=", options.dim, options.test ? " test" : " train"),
               .sample = {options.dim},
               .classes = 2,
               .pixels = {},
               .points = {},
               .labels = {}};
  Rng rng(options.seed, options.test ? kTestStream : kTrainStream);
  const auto normal = [&] {
    const double radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
    return radius * std::cos(2 * std::numbers::pi * rng.uniform());
  };
  std::vector<double> point(static_cast<size_t>(options.dim));
  for (const Shell& shell : kShells) {
    for (int64_t i = 0; i < options.size / 4 * shell.quarters; ++i) {
      const double radius =
          shell.low + (shell.high - shell.low) *
                          std::pow(rng.uniform(), 1.0 / static_cast<double>(options.dim));
      double square = 0;
      for (double& x : point) {
        x = normal();
        square += x * x;
      }
      const double scale = radius / std::sqrt(square);
      for (double x : point) data.points.push_back(static_cast<float>(x * scale));
      data.labels.push_back(shell.label);
    }
  }
  return data;
}

}  // namespace slope::nn
