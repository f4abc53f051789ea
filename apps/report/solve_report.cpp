#include "apps/report/solve_report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "apps/report/page.h"
#include "ode/number_text.h"
#include "ode/solver_word.h"
#include "ode/stability.h"

namespace slope::report {
namespace {

using Json = nlohmann::ordered_json;
using problems::Problem, problems::ProblemResult, problems::ProblemTask, problems::Truth;

constexpr size_t kComponents = 4;  // drawn of a state
constexpr size_t kPaths = 3;       // solvers whose steps are marked
constexpr size_t kMarks = 150;     // on one curve
constexpr size_t kSamples = 400;   // of the true solution
constexpr double kCheap = 2;       // seconds that all results took, up to which more are computed
constexpr double kFarLeft = 8;     // a stability region is drawn up to here
constexpr double kLongTime = 1e4;  // from here on time is drawn on a logarithmic axis

size_t drawn(const Problem& p) { return std::min(p.components.size(), kComponents); }

// Every n-th of `count` things, so that about `most` are left; the last one among them.
std::vector<size_t> thinned(size_t count, size_t most) {
  const size_t stride = std::max<size_t>(1, (count + most - 1) / most);
  std::vector<size_t> chosen;
  for (size_t i = 0; i + 1 < count; i += stride) chosen.push_back(i);
  if (count > 0) chosen.push_back(count - 1);
  return chosen;
}

// [t, y_1, y_2, ..]; of a batch, its first sample.
Json path_row(double t, const std::vector<double>& y, size_t components) {
  Json row = {t};
  for (size_t i = 0; i < components; ++i) row.push_back(y[i]);
  return row;
}

Json path(const ProblemResult& r, size_t components, bool from_zero) {
  Json rows = Json::array();
  const ode::Solution& s = r.solution;
  for (size_t i : thinned(s.states.size(), kMarks)) {
    if (from_zero || s.grid[i] != 0)
      rows.push_back(path_row(s.grid[i], s.states[i][0].values(), components));
  }
  return rows;
}

Json step_sizes(const ProblemResult& r) {
  Json points = Json::array();
  const std::vector<double>& grid = r.solution.grid;
  for (size_t i : thinned(grid.empty() ? 0 : grid.size() - 1, 4 * kMarks))
    points.push_back({grid[i], std::abs(grid[i + 1] - grid[i])});
  return points;
}

// The word with its steps, or its tolerances, times a factor.
std::string scaled(const ode::Solver& solver, double factor) {
  ode::Solver other = solver;
  if (auto* how = std::get_if<ode::Adaptive>(&other.stepping)) {
    how->rtol /= factor;
    how->atol /= factor;
  } else if (auto* steps = std::get_if<ode::Steps>(&other.stepping)) {
    steps->count = std::max<int64_t>(1, std::llround(static_cast<double>(steps->count) * factor));
  } else {
    auto& size = std::get<ode::StepSize>(other.stepping).size;
    size /= factor;
  }
  return ode::solver_word(other);
}

// Error against evaluations of each method: the sums of evaluations over the problems, and the
// geometric mean of their errors.
struct WorkPrecision {
  void add(const std::string& word, const std::vector<SolvedProblem>& solved, bool have_results,
           size_t index) {
    const ode::Solver solver = ode::parse_solver(word);
    double evaluations = 0, logarithms = 0;
    for (const SolvedProblem& s : solved) {
      ProblemTask task = s.task;
      task.keep_states = false;
      const ProblemResult r = have_results
                                  ? s.results[index]
                                  : solve_problem(s.problem, word, task, truth(s.problem, task));
      if (!r.error || !(*r.error > 0)) return;
      evaluations += r.per_sample(r.solution.statistics->evaluations);
      logarithms += std::log(*r.error);
    }
    const double error = std::exp(logarithms / static_cast<double>(solved.size()));
    if (std::isfinite(error)) curve(solver.method.name())[evaluations] = error;
  }
  Json json() const {
    Json list = Json::array();
    for (const auto& [method, curve] : curves) {
      Json pairs = Json::array();
      for (const auto& [evaluations, error] : curve) pairs.push_back({evaluations, error});
      list.push_back({{"method", method}, {"points", pairs}});
    }
    return list;
  }
  // The points of a method: error by evaluations.
  std::map<double, double>& curve(const std::string& method) {
    for (auto& [name, points] : curves) {
      if (name == method) return points;
    }
    return curves.emplace_back(method, std::map<double, double>()).second;
  }
  std::vector<std::pair<std::string, std::map<double, double>>> curves;  // as they came
};

Json precision(const std::vector<SolvedProblem>& solved) {
  WorkPrecision curves;
  double seconds = 0;
  for (const SolvedProblem& s : solved) {
    for (const ProblemResult& r : s.results) seconds += r.seconds;
  }
  const std::vector<ProblemResult>& first = solved.front().results;
  for (size_t i = 0; i < first.size(); ++i) curves.add(first[i].solver, solved, true, i);
  for (const ProblemResult& r : first) {
    const ode::Solver solver = ode::parse_solver(r.solver);
    if (seconds > kCheap || std::holds_alternative<ode::StepGrid>(solver.stepping)) continue;
    const bool adaptive = std::holds_alternative<ode::Adaptive>(solver.stepping);
    for (double step : {-2, -1, 1, 2}) {
      if (curves.curve(solver.method.name()).size() < 8)
        curves.add(scaled(solver, std::pow(adaptive ? 10 : 2, step)), solved, false, 0);
    }
  }
  return curves.json();
}

// R(z) = numerator / denominator, both by rising powers of z: the denominator det(I - z A) by
// Faddeev and LeVerrier's recursion (1 for an explicit method), and the numerator from the series
// R = 1 + sum_n z^n b A^(n-1) (1, .., 1).
struct StabilityFunction {
  explicit StabilityFunction(const ode::Tableau& m) : denominator{1} {
    const auto s = static_cast<size_t>(m.stages());
    const auto a = [&](size_t i, size_t j) { return j < m.a[i].size() ? m.a[i][j] : 0.0; };
    std::vector<double> power(s, 1), series = {1};
    std::vector<std::vector<double>> n(s, std::vector<double>(s, 0.0));
    for (size_t k = 1; k <= s; ++k) {
      double moment = 0, trace = 0;
      std::vector<double> next(s, 0.0);
      auto product = std::vector<std::vector<double>>(s, std::vector<double>(s, 0.0));
      for (size_t i = 0; i < s; ++i) n[i][i] += denominator.back();
      for (size_t i = 0; i < s; ++i) {
        moment += m.b[i] * power[i];
        for (size_t j = 0; j < s; ++j) {
          next[i] += a(i, j) * power[j];
          for (size_t l = 0; l < s; ++l) product[i][l] += a(i, j) * n[j][l];
        }
        trace += product[i][i];
      }
      series.push_back(moment);
      denominator.push_back(-trace / static_cast<double>(k));
      power = next;
      n = product;
    }
    for (size_t k = 0; k <= s; ++k) {
      numerator.push_back(0);
      for (size_t j = 0; j <= k; ++j) numerator[k] += denominator[j] * series[k - j];
    }
  }
  std::vector<double> numerator, denominator;
};

Json regions(const std::vector<ProblemResult>& results) {
  Json list = Json::array();
  std::vector<std::string> seen;
  for (const ProblemResult& r : results) {
    const ode::Method method = ode::parse_solver(r.solver).method;
    if (!method->tableau() || std::find(seen.begin(), seen.end(), method.name()) != seen.end())
      continue;
    seen.push_back(method.name());
    const StabilityFunction factor(*method->tableau());
    list.push_back({{"method", method.name()},
                    {"numerator", factor.numerator},
                    {"denominator", factor.denominator},
                    {"left", std::min(ode::real_stability(*method->tableau()), kFarLeft)}});
  }
  return list;
}

// The truth on a fine grid, or the path of the result with the smallest steps where it is unknown.
void add_solution(Json& data, const SolvedProblem& s) {
  const size_t components = drawn(s.problem);
  const double end = s.task.outputs.back();
  const bool long_time = std::abs(end) >= kLongTime;
  data["long"] = long_time;
  data["components"] = std::vector<std::string>(
      s.problem.components.begin(),
      s.problem.components.begin() + static_cast<std::ptrdiff_t>(components));
  ProblemTask fine{.outputs = {}, .batch = 1, .dtype = Dtype::f64};
  for (size_t i = 1; i <= kSamples; ++i)
    fine.outputs.push_back(end * static_cast<double>(i) / static_cast<double>(kSamples));
  const Truth known = truth(s.problem, fine);
  Json rows = Json::array();
  if (!known.states.empty()) {
    rows.push_back(path_row(0, s.problem.y0.values(), components));
    for (size_t i = 0; i < known.states.size(); ++i)
      rows.push_back(path_row(fine.outputs[i], known.states[i], components));
  } else {
    const auto finest = std::max_element(s.results.begin(), s.results.end(),
                                         [](const ProblemResult& a, const ProblemResult& b) {
                                           return std::pair(a.solution.t, a.solution.grid.size()) <
                                                  std::pair(b.solution.t, b.solution.grid.size());
                                         });
    rows = path(*finest, components, !long_time);
  }
  data["truth"] = rows;
  data["truth_source"] = known.source;
  for (const ProblemResult& r : s.results) {
    if (data["paths"].size() < kPaths)
      data["paths"].push_back({{"solver", r.solver}, {"points", path(r, components, !long_time)}});
    data["steps"].push_back({{"solver", r.solver}, {"points", step_sizes(r)}});
  }
}

Json result_rows(const std::vector<SolvedProblem>& solved) {
  Json rows = Json::array();
  for (const SolvedProblem& s : solved) {
    for (const ProblemResult& r : s.results) {
      rows.push_back({{"problem", r.problem},
                      {"solver", r.solver},
                      {"error", r.error ? Json(*r.error) : Json()},
                      {"nfe", r.per_sample(r.solution.statistics->evaluations)},
                      {"accepted", r.per_sample(r.solution.statistics->accepted)},
                      {"rejected", r.per_sample(r.solution.statistics->rejected)},
                      {"status", ode::name(r.solution.status)}});
    }
  }
  return rows;
}

Json figures(const std::vector<SolvedProblem>& solved) {
  const std::vector<ProblemResult>& results = solved.front().results;
  Json list = Json::array();
  if (solved.size() > 1) list.push_back({std::to_string(solved.size()), "problems"});
  const auto best = std::min_element(
      results.begin(), results.end(), [](const ProblemResult& a, const ProblemResult& b) {
        return a.error.value_or(HUGE_VAL) < b.error.value_or(HUGE_VAL);
      });
  if (solved.size() == 1 && best->error) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2e", *best->error);
    list.push_back({text, "smallest error: " + best->solver});
  }
  for (size_t i = 0; i < std::min<size_t>(results.size(), 3); ++i) {
    double evaluations = 0;
    for (const SolvedProblem& s : solved)
      evaluations += s.results[i].per_sample(s.results[i].solution.statistics->evaluations);
    list.push_back({ode::rounded_text(evaluations), "evaluations: " + results[i].solver});
  }
  return list;
}

}  // namespace

void write_solve(const std::filesystem::path& folder, const std::string& word,
                 const std::vector<SolvedProblem>& solved) {
  const SolvedProblem& first = solved.front();
  const bool one = solved.size() == 1;
  std::string solvers;
  for (const ProblemResult& r : first.results) solvers += "\n  " + r.solver;
  Json data{{"summary", one ? concat(first.problem.what, "; t from 0 to ",
                                     ode::number_text(first.task.outputs.back()))
                            : concat(solved.size(), " problems")},
            {"config", concat("problem  ", word, "\ndtype    ", name(first.task.dtype),
                              "\nbatch    ", first.task.batch, "\nsolvers", solvers)},
            {"figures", figures(solved)},
            {"problems", solved.size()},
            {"long", false},
            {"components", nullptr},
            {"paths", Json::array()},
            {"steps", Json::array()},
            {"precision", precision(solved)},
            {"regions", regions(first.results)},
            {"results", result_rows(solved)}};
  if (one) add_solution(data, first);
  std::filesystem::create_directories(folder);
  write_page(folder / "report.html", word, {"solve_report.js"}, data);
}

}  // namespace slope::report
