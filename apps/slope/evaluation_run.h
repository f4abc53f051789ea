// Accuracy and evaluations of a trained model under one or many solvers: what `slope eval` does.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/slope/progress.h"
#include "apps/slope/regime.h"

namespace slope::program {

struct EvaluationRequest {
  std::string run;
  std::vector<std::string> solvers;
  std::vector<int64_t> steps;
  RegimeOptions regime;
  std::string stepping;
  std::string data;
  int64_t limit = 0;
  int64_t batch = 250;
};
void add_evaluation_options(OptionList& options, EvaluationRequest& values);

struct Evaluated {
  nlohmann::ordered_json results;  // one for each solver
  std::string table;               // the same for people
};
// Evaluates, and keeps the results in the run folder.
Evaluated evaluate_run(const EvaluationRequest& request, const Settings& settings,
                       Progress& progress);

}  // namespace slope::program
