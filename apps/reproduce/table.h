// The end of a reproduction: published figures beside measured ones.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/reproduce/preset.h"
#include "apps/reproduce/record.h"

namespace slope::reproduce {

struct MeasuredRow {
  const Row* row = nullptr;
  std::vector<double> values = {};  // one for each seed
  double mean = 0;
  double standard_error = 0;  // s / sqrt(n), s with n - 1; NaN for less than two
  int64_t examples = 0;       // test samples behind each value; 0: see `of`
  std::string of = {};        // "last epoch", "best epoch, chosen by the test set", ..
  std::string note = {};
};

// Mean and standard error of some values.
void summarize(MeasuredRow& row);

// runs: of an experiment, the records of its seeds; empty where it was not run at this scale.
std::vector<MeasuredRow> measure_rows(
    const Preset& preset,
    const std::function<std::vector<const Record*>(const std::string& experiment)>& runs);

// For people.
std::string rows_text(const std::vector<MeasuredRow>& rows);
// As the command prints them: what, published, measured, stderr, n, values, unit, examples, of,
// note. Shares as fractions.
nlohmann::ordered_json rows_json(const std::vector<MeasuredRow>& rows);
// [{"title", "x", "y", "logarithmic", "caption", "share": y is a fraction, "series": [{"name",
// "measured": [[x, mean, mean - standard error, mean + it]], "published": [[x, value]]}]}]
nlohmann::ordered_json charts_json(const Preset& preset, const std::vector<MeasuredRow>& rows);

}  // namespace slope::reproduce
