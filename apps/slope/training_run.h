// A training run from options to a finished folder: what `slope train` does.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/slope/run_folder.h"

namespace slope::program {

struct Trained {
  std::filesystem::path folder;
  int stopped_by = 0;             // the signal that ended it early, after saving; 0: it is finished
  nlohmann::ordered_json result;  // of a finished one, Trainer::result and the report's path
};
// A new run in `out`, or runs/MODEL-001 and so on where that is empty; or, with `old`, one that
// goes on in its folder. SIGINT, SIGTERM and SIGHUP end it early; a second one ends the program.
Trained train_run(TrainingOptions options, const Settings& settings, const std::string& out,
                  const Run* old);

// The signal that has come in since the last call of train_run, or 0: for work after a training,
// which ends where it can.
int stop_signal();

}  // namespace slope::program
