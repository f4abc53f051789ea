// A trained model under attack, as a matrix over attacks and solvers: what `slope attack` does.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/slope/progress.h"
#include "apps/slope/regime.h"

namespace slope::program {

struct AttackRequest {
  std::string run;
  std::vector<std::string> attacks, solvers, attack_solvers;
  RegimeOptions regime;
  std::string attack_regime;
  std::string gradient = "checkpointed";
  std::string compare_gradient;
  std::string stepping;
  std::string data;
  int64_t limit = 1000;
  bool limit_given = false;  // then more than there are is an error
  int64_t batch = 250;
};
// limit_given is for the caller to set: OptionList::given("limit").
void add_attack_options(OptionList& options, AttackRequest& values);

struct Attacked {
  nlohmann::ordered_json results;  // one for each attack, solver and attack solver, in this order
  nlohmann::ordered_json minima;   // the figures to quote
  std::string table;               // both for people
};
// Attacks, and keeps the results in the run folder.
Attacked attack_run(const AttackRequest& request, const Settings& settings, Progress& progress);

}  // namespace slope::program
