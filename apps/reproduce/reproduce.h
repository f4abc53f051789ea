// Runs a preset: trains and measures its experiments by the same code as `slope train`, `eval` and
// `attack`, and puts the figures beside the published ones.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/reproduce/preset.h"
#include "apps/slope/progress.h"
#include "apps/slope/settings.h"

namespace slope::reproduce {

struct Request {
  Scale scale = Scale::smoke;
  std::string out;         // folder; "": runs/reproduce-PRESET-SCALE
  int64_t seeds = 0;       // 0: as many as the preset says
  int64_t epochs = 0;      // in place of the preset's; 0: as it says
  int64_t limit = 0;       // training samples, in place of the preset's; 0: as it says
  int64_t test_limit = 0;  // at most so many test samples in every figure; 0: as it says
  std::vector<std::string> only = {};  // experiments; empty: all of the scale
};

struct Reproduced {
  std::filesystem::path folder;
  int stopped_by = 0;             // a signal; then nothing below is set, and what is done is kept
  nlohmann::ordered_json result;  // preset, scale, rows, changes, commands, seconds, report
  std::string text;               // for people
};

// Each run is OUT/EXPERIMENT/seed-N. What is there already with the same options is used again; a
// run that was interrupted goes on. Errors, before anything is trained where that can be seen: bad
// arguments, data that is not at hand, a folder whose run has other options (unless --force).
Reproduced reproduce(const Preset& preset, const Request& request,
                     const program::Settings& settings, program::Progress& progress);

// The arguments of a command at a scale, as one line that could be typed.
std::string line_of(const Arguments& arguments, Scale scale);

}  // namespace slope::reproduce
