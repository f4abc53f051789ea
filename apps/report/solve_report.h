// The report of `slope solve`: what the solution looks like, which steps were taken, what accuracy
// costs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/problems/problem_solve.h"

namespace slope::report {

struct SolvedProblem {
  problems::Problem problem;
  problems::ProblemTask task;                    // with its states kept
  std::vector<problems::ProblemResult> results;  // one for each solver
};

// Writes FOLDER/report.html. word: as given ("detest"). A few more solves at other step counts and
// tolerances make the curves of work and precision.
void write_solve(const std::filesystem::path& folder, const std::string& word,
                 const std::vector<SolvedProblem>& solved);

}  // namespace slope::report
