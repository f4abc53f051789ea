#include "apps/slope/states.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/slope/run_folder.h"
#include "apps/slope/solver_path.h"
#include "core/atomic_file.h"
#include "core/ops/movement.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kSamples = 24;
constexpr const char* kFlow = "rk4:16";  // close to the flow itself, and quick for pictures too

// Mean, 10th and 90th percentile of the norms of the rows of y. y: (N, ..)
Json norms(const Tensor& y) {
  const std::vector<double> values = y.values();
  const auto samples = static_cast<size_t>(y.dim(0));
  const size_t size = values.size() / samples;
  std::vector<double> found;
  double mean = 0;
  for (size_t i = 0; i < samples; ++i) {
    double sum = 0;
    for (size_t k = 0; k < size; ++k) sum += values[i * size + k] * values[i * size + k];
    found.push_back(std::sqrt(sum));
    mean += found.back() / static_cast<double>(samples);
  }
  std::sort(found.begin(), found.end());
  // The value at a share of the way through the sorted ones, between two of them by a line.
  const auto percentile = [&](double share) {
    const double place = share * static_cast<double>(samples - 1);
    const auto below = static_cast<size_t>(place);
    const double above = found[std::min(below + 1, samples - 1)];
    return found[below] + (place - std::floor(place)) * (above - found[below]);
  };
  return {drawn(mean), drawn(percentile(0.1)), drawn(percentile(0.9))};
}

Json walk(const ode::Field& field, const Tensor& y0, const ode::Solver& solver) {
  const SolverPath path = solver_path(field, y0, solver);
  Json json{{"steps", path.steps},
            {"t", Json::array()},
            {"norm", Json::array()},
            {"slope", Json::array()}};
  for (size_t i = 0; i < path.times.size(); ++i) {
    json["t"].push_back(drawn(path.times[i]));
    json["norm"].push_back(norms(path.states[i]));
    json["slope"].push_back(norms(field(scalar(path.times[i], y0.dtype()), path.states[i])));
  }
  return json;
}

}  // namespace

void write_states(const std::filesystem::path& run, const models::Classifier& model,
                  const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step) {
  if (!model.has_ode()) return;
  const nn::Batch some = nn::make_batch(test, spread(test.size(), kSamples), dtype);
  Json blocks = Json::array();
  const auto watch = [&](const ode::Field& field, const Tensor& y0) {
    std::vector<int64_t> shape(y0.shape().begin() + 1, y0.shape().end());
    blocks.push_back({{"shape", shape},
                      {"own", walk(field, y0, solver)},
                      {"flow", walk(field, y0, ode::parse_solver(kFlow))}});
  };
  try {
    nn::Pass pass;
    model.logits(some.x, pass, {.solver = solver, .on_block = watch});
  } catch (const SolveError&) {
    return;  // the report has no such picture then
  }
  const Json states{{"step", step},
                    {"solver", ode::solver_word(solver)},
                    {"reference", kFlow},
                    {"samples", some.labels.size()},
                    {"blocks", blocks}};
  write_atomically(run / "states.json", states.dump());
}

}  // namespace slope::program
