#include "nn/data/minima.h"

#include <array>

#include "core/random.h"

namespace slope::nn {
namespace {

constexpr uint32_t kTrainStream = 0x31, kTestStream = 0x32;
constexpr int64_t kMostSamples = 1 << 22;
constexpr double kFriction = 0.2, kStep = 0.02;
constexpr int kMostSteps = 100'000;                               // most need a few hundred
constexpr std::array<double, 2> kBarriers = {-0.32949, 1.15458};  // the maxima between the minima

double potential(double x) {
  return 0.2 * x * (x - 2) * (x - 0.5) * (x + 1) * (x + 0.6) * (x - 1.6);
}

// V'(x) by Horner's rule.
double gradient(double x) {
  return ((((1.2 * x - 2.5) * x - 0.768) * x + 2.364) * x + 0.176) * x - 0.192;
}

struct State {
  double x, v;
};
State slope_at(State s) { return {s.v, -gradient(s.x) - kFriction * s.v}; }
State moved(State s, double h, State slope) { return {s.x + h * slope.x, s.v + h * slope.v}; }

State classical_step(State s) {
  const State k1 = slope_at(s), k2 = slope_at(moved(s, kStep / 2, k1)),
              k3 = slope_at(moved(s, kStep / 2, k2)), k4 = slope_at(moved(s, kStep, k3));
  return moved(s, kStep / 6,
               {k1.x + 2 * k2.x + 2 * k3.x + k4.x, k1.v + 2 * k2.v + 2 * k3.v + k4.v});
}

// Friction only takes energy away: once the ball has less than the barriers beside its valley, it
// stays there, and the rest of its way need not be computed.
int32_t valley_of(State s) {
  const double left = potential(kBarriers[0]), right = potential(kBarriers[1]);
  for (int step = 0; step < kMostSteps; ++step, s = classical_step(s)) {
    const double energy = 0.5 * s.v * s.v + potential(s.x);
    if (s.x < kBarriers[0] && energy < left) return 0;
    if (s.x > kBarriers[1] && energy < right) return 2;
    if (s.x > kBarriers[0] && s.x < kBarriers[1] && energy < left && energy < right) return 1;
  }
  throw InternalError(concat("minima: the ball at x = ", s.x, " with speed ", s.v,
                             " does not come to rest. This is a bug in slope."));
}

}  // namespace

Dataset minima(const MinimaOptions& options) {
  if (options.size < 1 || options.size > kMostSamples) {
    throw ValueError(concat("minima: the number of samples must be from 1 to ", kMostSamples,
                            ", got ", options.size, "."));
  }
  Dataset data{.name = options.test ? "minima test" : "minima train",
               .sample = {2},
               .classes = 3,
               .pixels = {},
               .points = {},
               .labels = {},
               .class_names = {"-0.850", "0.269", "1.839"}};
  Rng rng(options.seed, options.test ? kTestStream : kTrainStream);
  for (int64_t i = 0; i < options.size; ++i) {
    // The sample is what is stored: float32.
    const auto x = static_cast<float>(-1 + 3 * rng.uniform()),
               v = static_cast<float>(-2 + 4 * rng.uniform());
    data.points.push_back(x);
    data.points.push_back(v);
    data.labels.push_back(valley_of({x, v}));
  }
  return data;
}

}  // namespace slope::nn
