#include "apps/slope/plane.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/slope/run_folder.h"
#include "core/ops/movement.h"
#include "ode/solve.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kCells = 80;    // of the decision map, each way
constexpr int64_t kArrows = 17;   // of the vector field, each way
constexpr int64_t kPaths = 24;    // trajectories
constexpr int64_t kPoints = 400;  // test points
constexpr double kWidest = 4;     // the picture shows at most so many times the data's extent
constexpr const char* kFlow = "rk4:64";

// Four decimals: finer than a pixel.
double rounded(double v) { return std::round(v * 1e4) / 1e4; }

// The middles of count x count cells of the square from -range to range, rows from the lowest y up.
// -> (count * count, 2)
Tensor grid(double range, int64_t count, Dtype dtype) {
  std::vector<double> xy;
  const auto middle = [&](int64_t i) {
    return range * ((2 * static_cast<double>(i) + 1) / static_cast<double>(count) - 1);
  };
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t column = 0; column < count; ++column) {
      xy.push_back(middle(column));
      xy.push_back(middle(row));
    }
  }
  return cast(from_host(xy, {count * count, 2}), dtype);
}

// Every `size / count`-th sample, so that all shells have some. -> their numbers
std::vector<int64_t> spread(int64_t size, int64_t count) {
  std::vector<int64_t> numbers;
  count = std::min(count, size);
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i * size / count);
  return numbers;
}

// The states of each point after each step. y: (N, 2) -> N lists of points
std::vector<Json> paths(const ode::Field& field, const Tensor& y, const ode::Solver& solver) {
  const ode::Solution solution = ode::solve(field, y, {0, 1}, solver, {.keep_states = true});
  solution.or_throw();
  std::vector<Json> list(static_cast<size_t>(y.dim(0)), Json::array());
  for (const Tensors& state : solution.states) {
    const std::vector<double> v = state[0].values();
    for (size_t i = 0; i < list.size(); ++i)
      list[i].push_back({rounded(v[2 * i]), rounded(v[2 * i + 1])});
  }
  return list;
}

// Rows of the probability of class 1 over the grid.
Json decision(const models::Classifier& model, const ode::Solver& solver, double range,
              Dtype dtype) {
  nn::Pass pass;
  const std::vector<double> logits =
      model.logits(grid(range, kCells, dtype), pass, {.solver = solver}).values();
  Json rows = Json::array();
  for (size_t i = 0; i < logits.size() / 2; ++i) {
    if (i % kCells == 0) rows.push_back(Json::array());
    rows.back().push_back(rounded(1 / (1 + std::exp(logits[2 * i] - logits[2 * i + 1]))));
  }
  return rows;
}

Json arrows(const ode::Field& field, double range, Dtype dtype) {
  const Tensor at = grid(range, kArrows, dtype);
  const std::vector<double> xy = at.values(), uv = field(zeros({}, dtype), at).values();
  Json list = Json::array();
  for (size_t i = 0; i < xy.size(); i += 2)
    list.push_back({rounded(xy[i]), rounded(xy[i + 1]), rounded(uv[i]), rounded(uv[i + 1])});
  return list;
}

Json draw(const models::Classifier& model, const ode::Solver& solver, const nn::Dataset& test,
          Dtype dtype) {
  const nn::Batch some = nn::make_batch(test, spread(test.size(), kPaths), dtype);
  nn::Pass pass;
  const ode::Field field = model.sample_field()->field(some.x.shape(), pass);
  const std::vector<Json> steps = paths(field, some.x, solver),
                          flow = paths(field, some.x, ode::parse_solver(kFlow));
  double extent = 0, range = 0;
  for (const float v : test.points) extent = std::max(extent, static_cast<double>(std::fabs(v)));
  for (const Json& path : steps) {
    for (const Json& point : path)
      range =
          std::max({range, std::fabs(point[0].get<double>()), std::fabs(point[1].get<double>())});
  }
  range = 1.1 * std::min(std::max(range, extent), kWidest * extent);

  Json plane{{"range", range},
             {"decision", decision(model, solver, range, dtype)},
             {"field", arrows(field, range, dtype)},
             {"trajectories", Json::array()},
             {"points", Json::array()}};
  const std::vector<double> labels = some.labels.values();
  for (size_t i = 0; i < steps.size(); ++i) {
    plane["trajectories"].push_back(
        {{"label", static_cast<int>(labels[i])}, {"points", steps[i]}, {"flow", flow[i]}});
  }
  for (const int64_t i : spread(test.size(), kPoints)) {
    const auto at = static_cast<size_t>(i);
    plane["points"].push_back(
        {rounded(test.points[2 * at]), rounded(test.points[2 * at + 1]), test.labels[at]});
  }
  return plane;
}

}  // namespace

void write_plane(const std::filesystem::path& run, const models::Classifier& model,
                 const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step) {
  if (!model.sample_field() || model.facts().sample != Shape{2} || model.facts().classes != 2)
    return;
  try {
    Json plane = draw(model, solver, test, dtype);
    plane["step"] = step;
    write_text(run / "plane.json", plane.dump());
  } catch (const SolveError&) {
    // Far from the data a solve may fail; then the report has no such picture.
  }
}

}  // namespace slope::program
