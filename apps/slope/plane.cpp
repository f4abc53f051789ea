#include "apps/slope/plane.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/slope/data_source.h"
#include "apps/slope/run_folder.h"
#include "apps/slope/solver_path.h"
#include "core/atomic_file.h"
#include "core/ops/loss.h"
#include "core/ops/movement.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kCells = 80;     // of the decision map, each way
constexpr int64_t kArrows = 17;    // of the vector field, each way
constexpr int64_t kFields = 9;     // times at which a field that depends on t is drawn
constexpr int64_t kMoving = 200;   // points on their way
constexpr int64_t kFlowEvery = 8;  // of every 8th of them the flow itself is drawn too
constexpr int64_t kPoints = 400;   // test points
constexpr double kWidest = 10;     // the picture shows at most so many times the data's extent
constexpr const char* kFlow = "rk4:64";

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

// The places of points 0, every, 2 every, .. along a path: a list for each point.
std::vector<Json> places(const SolverPath& path, size_t every) {
  std::vector<Json> list;
  for (const Tensor& state : path.states) {
    const std::vector<double> v = state.values();
    list.resize((v.size() / 2 + every - 1) / every, Json::array());
    for (size_t i = 0; i < list.size(); ++i)
      list[i].push_back({drawn(v[2 * every * i]), drawn(v[2 * every * i + 1])});
  }
  return list;
}

Json times(const SolverPath& path) {
  Json list = Json::array();
  for (const double t : path.times) list.push_back(drawn(t));
  return list;
}

// What the whole network decides over the square, and the probability that it gives.
void add_decisions(Json& plane, const models::Classifier& model, const ode::Solver& solver,
                   double range, Dtype dtype) {
  nn::Pass pass;
  const Tensor logits = model.logits(grid(range, kCells, dtype), pass, {.solver = solver});
  const std::vector<double> p = softmax(logits, 1).values();
  const std::ptrdiff_t classes = logits.dim(1);
  Json decided = Json::array(), sure = Json::array();
  for (std::ptrdiff_t i = 0; i < logits.dim(0); ++i) {
    if (i % kCells == 0) {
      decided.push_back(Json::array());
      sure.push_back(Json::array());
    }
    const auto row = p.begin() + i * classes, best = std::max_element(row, row + classes);
    decided.back().push_back(best - row);
    sure.back().push_back(std::round(*best * 1e3) / 1e3);
  }
  plane["decided"] = decided;
  plane["sure"] = sure;
}

Json fields(const ode::Field& field, double range, Dtype dtype) {
  const Tensor at = grid(range, kArrows, dtype);
  const std::vector<double> xy = at.values();
  const auto slopes = [&](double t) { return field(scalar(t, dtype), at).values(); };
  const int64_t count = slopes(0) == slopes(0.5) && slopes(0) == slopes(1) ? 1 : kFields;
  Json list = Json::array();
  for (int64_t k = 0; k < count; ++k) {
    const double t = count == 1 ? 0 : static_cast<double>(k) / static_cast<double>(count - 1);
    const std::vector<double> uv = slopes(t);
    Json arrows = Json::array();
    for (size_t i = 0; i < xy.size(); i += 2)
      arrows.push_back({drawn(xy[i]), drawn(xy[i + 1]), drawn(uv[i]), drawn(uv[i + 1])});
    list.push_back({{"t", t}, {"arrows", arrows}});
  }
  return list;
}

Json head(const nn::Linear& linear) {
  const std::vector<double> w = linear.weight.values();
  Json weight = Json::array();
  for (size_t i = 0; i < w.size(); i += 2) weight.push_back({w[i], w[i + 1]});
  return {{"weight", weight}, {"bias", linear.bias.values()}};
}

// How far from the origin, by its larger coordinate, a path ends: of all but the farthest
// twentieth of the paths.
double end_distance(const std::vector<Json>& paths) {
  std::vector<double> distances;
  for (const Json& path : paths) {
    const Json& end = path.back();
    distances.push_back(std::max(std::fabs(end[0].get<double>()), std::fabs(end[1].get<double>())));
  }
  std::sort(distances.begin(), distances.end());
  return distances.at((distances.size() - 1) * 19 / 20);
}

Json draw(const models::Classifier& model, const ode::Solver& solver, const nn::Dataset& test,
          Dtype dtype) {
  const nn::Batch some = nn::make_batch(test, spread(test.size(), kMoving), dtype);
  nn::Pass pass;
  const ode::Field field = model.sample_field()->field(some.x.shape(), pass);
  const SolverPath own = solver_path(field, some.x, solver),
                   flow = solver_path(field, some.x, ode::parse_solver(kFlow));
  const std::vector<double> labels = some.labels.values();
  const std::vector<Json> moving = places(own, 1), flows = places(flow, kFlowEvery);
  double extent = 0;
  for (const float v : test.points) extent = std::max(extent, static_cast<double>(std::fabs(v)));
  const double range = 1.15 * extent,
               reach = 1.1 * std::min(std::max({extent, end_distance(moving), end_distance(flows)}),
                                      kWidest * extent);

  Json plane{{"solver", ode::solver_word(solver)},
             {"reference", kFlow},
             {"steps", own.steps},
             {"classes", class_labels(test)},
             {"range", range}};
  add_decisions(plane, model, solver, range, dtype);
  plane["points"] = Json::array();
  for (const int64_t i : spread(test.size(), kPoints)) {
    const auto at = static_cast<size_t>(i);
    plane["points"].push_back(
        {drawn(test.points[2 * at]), drawn(test.points[2 * at + 1]), test.labels[at]});
  }
  plane["reach"] = reach;
  plane["fields"] = fields(field, reach, dtype);
  plane["head"] = head(*model.sample_head());
  plane["t"] = times(own);
  plane["moving"] = Json::array();
  for (size_t i = 0; i < moving.size(); ++i)
    plane["moving"].push_back({{"label", static_cast<int>(labels[i])}, {"path", moving[i]}});
  plane["flow_t"] = times(flow);
  plane["flows"] = flows;
  return plane;
}

}  // namespace

void write_plane(const std::filesystem::path& run, const models::Classifier& model,
                 const ode::Solver& solver, const nn::Dataset& test, Dtype dtype, int64_t step) {
  if (!model.sample_field() || model.facts().sample != Shape{2}) return;
  try {
    Json plane = draw(model, solver, test, dtype);
    plane["step"] = step;
    write_atomically(run / "plane.json", plane.dump());
  } catch (const SolveError&) {
    // Far from the data a solve may fail; then the report has no such picture.
  }
}

}  // namespace slope::program
