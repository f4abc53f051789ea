#include <algorithm>
#include <cmath>

#include "apps/problems/outlook.h"
#include "apps/report/solve_report.h"
#include "apps/slope/commands.h"
#include "apps/slope/evaluation.h"
#include "apps/slope/output.h"
#include "apps/slope/progress.h"
#include "ode/number_text.h"
#include "ode/solver_word.h"

namespace slope::program {
namespace {

using problems::Problem, problems::ProblemResult, problems::ProblemTask, problems::Truth;

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

struct SolveCommand {
  std::string problem;
  std::vector<std::string> solvers;
  std::vector<int64_t> steps;
  std::string until;
  std::vector<double> at;
  int64_t batch = 1;
  std::string stepping = ode::name(ode::BatchSteps::shared);
  std::string report;
  bool verbose = false;
};

// The times whose states are asked for: those of --at, and the end.
std::vector<double> output_times(const SolveCommand& c, const Problem& problem) {
  std::vector<double> times = c.at;
  if (c.until.empty()) {
    if (times.empty()) times.push_back(problem.end);
  } else {
    const auto end = ode::parse_number(c.until);
    if (!end) throw ValueError(concat("solve: --until must be a number, got ", c.until, "."));
    if (times.empty() || times.back() != *end) times.push_back(*end);
  }
  for (size_t i = 0; i < times.size(); ++i) {
    const double before = i ? times[i - 1] : 0;
    const bool turns = (times[i] - before) * times.back() < 0;
    if (std::isfinite(times[i]) && !turns) continue;
    throw ValueError(
        concat("solve: the times must lead away from 0 to the end: ", ode::number_text(times[i]),
               " comes after ", ode::number_text(before), ". See --at and --until."));
  }
  return times;
}

// y: (N, n) -> n numbers, or N rows of them.
Json state_json(const Tensor& y) {
  const std::vector<double> values = y.values();
  if (y.dim(0) == 1) return values;
  Json rows = Json::array();
  for (auto row = values.begin(); row != values.end(); row += y.dim(1))
    rows.push_back(std::vector<double>(row, row + y.dim(1)));
  return rows;
}

// A count for each sample: whole where all steps were shared.
Json count_json(const ProblemResult& r, int64_t count) {
  return r.samples ? Json(r.per_sample(count)) : Json(count);
}

Json event_json(const ProblemResult& r) {
  Json list = Json::array();
  for (size_t i = 0; i < r.hits.size(); ++i) {
    list.push_back({{"event", r.events[i]}, {"t", r.hits[i].time}, {"y", state_json(r.hits[i].y)}});
  }
  return list;
}

Json result_json(const ProblemResult& r, const Truth& known) {
  const ode::Statistics& n = *r.solution.statistics;
  Json states = Json::array();
  for (const Tensor& y : r.states()) states.push_back(state_json(y));
  Json json{
      {"problem", r.problem},
      {"solver", r.solver},
      {"status", ode::name(r.solution.status)},
      {"t", r.times()},
      {"y", states},
      {"error", r.error ? Json(*r.error) : Json()},
      {"error_against", known.source.empty() ? Json() : Json(known.source)},
      {"stepping", ode::name(r.samples ? ode::BatchSteps::per_sample : ode::BatchSteps::shared)},
      {"nfe", count_json(r, n.evaluations)},
      {"accepted", count_json(r, n.accepted)},
      {"rejected", count_json(r, n.rejected)},
      {"warnings", r.solution.warnings},
      {"seconds", r.seconds}};
  if (!r.solution.message.empty()) json["message"] = r.solution.message;
  if (r.solution.status != ode::Status::success && !r.samples)
    json["last"] = {{"t", r.solution.t}, {"y", state_json(r.solution.y)}};
  if (!r.hits.empty()) json["events"] = event_json(r);
  if (r.samples) {
    json["statuses"] = Json::array();
    for (ode::Status status : r.samples->statuses) json["statuses"].push_back(ode::name(status));
    json["messages"] = r.samples->messages;
    json["rows_evaluated"] = r.samples->rows_evaluated;
  }
  return json;
}

std::string digits(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// One line for each result; for several problems, the sums for each solver below.
std::string results_text(const std::vector<ProblemResult>& results,
                         const std::vector<std::string>& solvers, bool many) {
  Rows rows{{"solver", "error", "NFE", "accepted", "rejected", "status", "seconds"}};
  if (many) rows[0].insert(rows[0].begin(), "problem");
  const auto line = [&](const std::string& problem, const std::string& solver,
                        const std::string& error, const ode::Statistics& n,
                        const std::string& status, double seconds) {
    const auto count = [&](int64_t value) {
      if (n.samples == 1) return std::to_string(value);
      return digits(static_cast<double>(value) / static_cast<double>(n.samples), "%.1f");
    };
    std::vector<std::string> row{solver,
                                 error,
                                 count(n.evaluations),
                                 count(n.accepted),
                                 count(n.rejected),
                                 status,
                                 digits(seconds, "%.4f")};
    if (many) row.insert(row.begin(), problem);
    rows.push_back(row);
  };
  for (const ProblemResult& r : results) {
    std::string status = ode::name(r.solution.status);
    std::replace(status.begin(), status.end(), '_', ' ');
    line(r.problem, r.solver, r.error ? digits(*r.error, "%.3e") : "", *r.solution.statistics,
         status, r.seconds);
  }
  for (const std::string& solver : many ? solvers : std::vector<std::string>()) {
    ode::Statistics sum;
    double seconds = 0;
    for (const ProblemResult& r : results) {
      if (r.solver != solver) continue;
      sum.evaluations += r.solution.statistics->evaluations;
      sum.accepted += r.solution.statistics->accepted;
      sum.rejected += r.solution.statistics->rejected;
      sum.samples = r.solution.statistics->samples;  // the same for all
      seconds += r.seconds;
    }
    line("total", solver, "", sum, "", seconds);
  }
  return table_text(rows);
}

// The states of one result, as far as they fit a screen.
std::string states_text(const Problem& problem, const ProblemResult& r) {
  constexpr size_t kMostColumns = 10;
  if (problem.components.size() > kMostColumns) return {};
  Rows rows{{"t"}};
  rows[0].insert(rows[0].end(), problem.components.begin(), problem.components.end());
  const Tensors states = r.states();
  for (size_t i = 0; i < states.size(); ++i) {
    rows.push_back({ode::number_text(r.times()[i])});
    const std::vector<double> values = states[i].values();
    for (size_t j = 0; j < problem.components.size(); ++j)
      rows.back().push_back(digits(values[j], "%.10g"));
  }
  std::string text = "\n" + table_text(rows);
  if (r.hits.empty()) return text;
  Rows events{{"event", "t"}};
  events[0].insert(events[0].end(), problem.components.begin(), problem.components.end());
  constexpr size_t kMostEvents = 20;
  for (size_t i = 0; i < std::min(r.hits.size(), kMostEvents); ++i) {
    events.push_back({r.events[i], digits(r.hits[i].time, "%.10g")});
    for (double value : r.hits[i].y.values()) events.back().push_back(digits(value, "%.10g"));
  }
  text += "\n" + table_text(events);
  if (r.hits.size() > kMostEvents)
    text += concat("and ", r.hits.size() - kMostEvents, " more (--json lists them all)\n");
  return text;
}

int run(const SolveCommand& c, const Settings& settings) {
  apply_settings(settings);
  const std::vector<std::string> solvers =
      with_steps(c.solvers.empty() ? std::vector<std::string>{"dopri5@1e-6"} : c.solvers, c.steps);
  for (const std::string& word : solvers) ode::parse_solver(word);  // all errors before any work

  const std::filesystem::path page = std::filesystem::path(c.report) / "report.html";
  if (!c.report.empty() && std::filesystem::exists(page) && !settings.force) {
    throw ValueError(
        concat("solve: ", page.string(), " exists. Choose another --report, or pass --force."));
  }

  Progress progress(settings.quiet);
  const auto all = problems::make_problems(c.problem, settings.value_dtype());
  std::vector<report::SolvedProblem> solved;
  std::vector<ProblemResult> results;
  Json json = Json::array();
  for (const Problem& problem : all) {
    const ProblemTask task{.outputs = output_times(c, problem),
                           .batch = c.batch,
                           .steps = ode::parse_batch_steps(c.stepping),
                           .dtype = settings.value_dtype(),
                           .keep_states = !c.report.empty()};
    const Truth known = problems::truth(problem, task);
    solved.push_back({problem, task, {}});
    for (const std::string& word : solvers) {
      const std::string who = concat(problem.name, ", ", word, ": ");
      if (c.verbose)
        progress.line(who + problems::outlook_text(problem, ode::parse_solver(word), task));
      progress.moving(concat("solve ", problem.name, " ", word));
      results.push_back(problems::solve_problem(problem, word, task, known));
      const ProblemResult& r = results.back();
      if (task.keep_states) solved.back().results.push_back(r);
      json.push_back(result_json(r, known));
      if (r.solution.status != ode::Status::success) progress.line(who + r.solution.message);
      for (const std::string& warning : r.solution.warnings) progress.warning(who + warning);
    }
  }
  if (settings.json) {
    print_json({{"problem", c.problem}, {"results", json}});
  } else {
    const bool states = results.size() == 1 && c.batch == 1;
    print(results_text(results, solvers, all.size() > 1) +
          (states ? states_text(all[0], results[0]) : ""));
  }
  if (!c.report.empty()) {
    progress.moving("the report");
    report::write_solve(c.report, c.problem, solved);
    progress.line("report: " + page.string());
  }
  return 0;
}

}  // namespace

Command solve_command(CLI::App& program, Settings& settings) {
  auto values = std::make_shared<SolveCommand>();
  CLI::App* app = add_command(program, "solve",
                              "Built-in ODE problems: how exact a solver is, and what it costs");
  auto options = std::make_shared<OptionList>(*app);
  options->add("problem", values->problem, "Problem (slope info problems); detest: 25 of them")
      ->required();
  options->add("--solver", values->solvers, "Solver; repeat it for more. Default: dopri5@1e-6")
      ->allow_extra_args(false);
  options->add("--steps", values->steps, "Step counts to sweep, e.g. 1,2,4,8", positive())
      ->delimiter(',');
  options->add("--until", values->until,
               "Solve from t = 0 to here. Default: the problem's own end");
  options->add("--at", values->at, "Output times, e.g. 1,2,5")->delimiter(',');
  options->add("--batch", values->batch, "Samples solved together, with starts up to a tenth apart",
               positive());
  options->add("--stepping", values->stepping,
               "Adaptive steps: shared by the samples of the batch, or per-sample");
  options->add("--report", values->report,
               "Folder for report.html: curves, steps, work, stability");
  options->add_flag("-v,--verbose", values->verbose,
                    "Say which steps will be taken, and what they cost, before they are taken");
  return {app, options, [values, &settings] { return run(*values, settings); }, "float64"};
}

}  // namespace slope::program
