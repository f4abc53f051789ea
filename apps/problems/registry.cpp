#include <algorithm>
#include <cmath>

#include "apps/problems/parts.h"
#include "core/nearest.h"

namespace slope::problems {
namespace {

struct ReferenceLine {
  const char* problem;
  double time;
  std::vector<double> state;
};
const std::vector<ReferenceLine>& references() {
  static const std::vector<ReferenceLine> all = {
#include "apps/problems/references.inc"
  };
  return all;
}

constexpr const char* kElementary[] = {"exponential", "cosine", "sine", "linear10"};
constexpr const char* kNonlinear[] = {"lotka-volterra", "robertson", "pendulum", "minima"};
constexpr const char* kDetest = "detest";

template <size_t n>
bool among(const char* const (&names)[n], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::vector<std::string> detest_names() {
  std::vector<std::string> names;
  for (char group = 'a'; group <= 'e'; ++group) {
    for (char number = '1'; number <= '5'; ++number) names.push_back({group, number});
  }
  return names;
}

Problem by_name(Word& word, Dtype dtype) {
  const std::string& name = word.name();
  if (among(kElementary, name)) return make_elementary(name, dtype);
  if (among(kNonlinear, name)) return make_nonlinear(name, dtype);
  if (name == "kepler") return make_kepler(word, dtype);
  if (name == "vanderpol") return make_vanderpol(word, dtype);
  if (name == "bouncing-ball") return make_bouncing_ball(dtype);
  std::vector<std::string> known = {kDetest};
  for (const ProblemEntry& entry : problem_list()) known.push_back(entry.name);
  const std::string prefix = std::string(kDetest) + "-";
  if (name.starts_with(prefix) && std::find(known.begin(), known.end(), name) != known.end())
    return make_detest(name.substr(prefix.size()), dtype);
  throw ValueError(concat("problem: there is no problem ", name, ". Did you mean ",
                          nearest(name, known), "? All of them: slope info problems."));
}

}  // namespace

std::vector<double> known_solution(const Problem& problem, double t) {
  if (t == 0) return problem.y0.values();
  if (problem.solution) return problem.solution(t);
  for (const Problem::Reference& r : problem.references) {
    if (r.time == t) return r.state;
  }
  return {};
}

const std::vector<ProblemEntry>& problem_list() {
  static const std::vector<ProblemEntry> list = [] {
    std::vector<ProblemEntry> entries;
    for (const char* word :
         {"exponential", "cosine", "sine", "linear10", "kepler", "lotka-volterra", "vanderpol",
          "robertson", "pendulum", "bouncing-ball", "minima"}) {
      const Problem p = make_problem(word);
      const size_t comma = p.name.find(',');
      entries.push_back({word, comma == std::string::npos ? "" : p.name.substr(comma + 1), p.what});
    }
    for (const std::string& name : detest_names()) {
      const Problem p = make_detest(name, Dtype::f64);
      entries.push_back({p.name, "", p.what});
    }
    return entries;
  }();
  return list;
}

Problem make_problem(const std::string& text, Dtype dtype) {
  Word word("problem", text);
  Problem problem = by_name(word, dtype);
  const size_t comma = problem.name.find(',');
  word.expect_empty(comma == std::string::npos ? "" : problem.name.substr(comma + 1));
  for (const ReferenceLine& line : references()) {
    if (line.problem == problem.name) problem.references.push_back({line.time, line.state});
  }
  return problem;
}

std::vector<Problem> make_problems(const std::string& text, Dtype dtype) {
  if (text != kDetest) return {make_problem(text, dtype)};
  std::vector<Problem> all;
  for (const std::string& name : detest_names())
    all.push_back(make_problem(std::string(kDetest) + "-" + name, dtype));
  return all;
}

}  // namespace slope::problems
