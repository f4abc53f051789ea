#include "apps/report/report.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/report/page.h"

namespace slope::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What the page shows, from top to bottom within each section. To add a chart: a script in assets/
// that draws it from report.data and returns where that is not there, its name here, and the file
// of the run folder that it draws in kFiles.
const std::vector<std::string> kScripts = {"line_chart.js", "training.js", "adapt.js",
                                           "results.js",    "solvers.js",  "attacks.js",
                                           "plane.js",      "states.js",   "mistakes.js"};
// NAME.json of the run folder is report.data.NAME, null where it is not there.
const std::vector<std::string> kFiles = {"mistakes", "pictures", "plane", "states"};

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return in ? text.str() : std::string();
}

// The JSON of a file in the run folder; null when it is not there or damaged.
Json read_json(const fs::path& path) {
  const std::string text = read_text(path);
  if (text.empty()) return nullptr;
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

// metrics.csv or adapt.csv as a list of objects of numbers, null for a cell that is none. Only rows
// that have all needed columns.
Json read_csv(const fs::path& path, const std::vector<std::string>& needed_columns) {
  std::istringstream in(read_text(path));
  const auto cells = [](const std::string& line) {
    std::vector<std::string> parts;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) parts.push_back(cell);
    if (line.ends_with(',')) parts.emplace_back();
    return parts;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = cells(line);
  Json rows = Json::array();
  for (const std::string& needed : needed_columns) {
    if (std::find(names.begin(), names.end(), needed) == names.end()) return rows;
  }
  while (std::getline(in, line)) {
    const std::vector<std::string> values = cells(line);
    if (values.size() != names.size()) continue;  // a line that was cut off
    Json row;
    for (size_t i = 0; i < names.size(); ++i) {
      char* end = nullptr;
      const double value = std::strtod(values[i].c_str(), &end);
      row[names[i]] = end == values[i].c_str() ? Json() : Json(value);
    }
    if (std::none_of(needed_columns.begin(), needed_columns.end(),
                     [&](const std::string& needed) { return row[needed].is_null(); }))
      rows.push_back(row);
  }
  return rows;
}

// The value of `key = "value"` in config.toml.
std::string config_value(const std::string& config, const std::string& key) {
  const size_t at = config.find("\n" + key + " = ");
  if (at == std::string::npos) return {};
  const size_t begin = at + key.size() + 4, end = config.find('\n', begin);
  std::string value = config.substr(begin, end - begin);
  if (value.size() >= 2 && (value.front() == '\'' || value.front() == '"'))
    value = value.substr(1, value.size() - 2);
  return value;
}

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Whether the model has an ODE to solve; what is not known counts as one.
bool solves(const Json& metrics) {
  return metrics.empty() || std::any_of(metrics.begin(), metrics.end(), [](const Json& row) {
           return row["nfe_forward"].get<double>() > 0;
         });
}

Json figures(const Json& metrics, double epoch_steps) {
  Json list = Json::array();
  if (metrics.empty()) return list;
  const Json& last = metrics.back();
  double best = 0;
  for (const Json& row : metrics) best = std::max(best, row["test_accuracy"].get<double>());
  list.push_back(
      {fixed(100 * last["test_accuracy"].get<double>(), 2) + " %", "test accuracy, last epoch"});
  list.push_back({fixed(100 * best, 2) + " %", "test accuracy, best epoch"});
  const double loss = last["test_loss"].get<double>();
  list.push_back({std::isfinite(loss) ? fixed(loss, 4) : "not finite", "test loss"});
  const auto evaluations = [&](const char* key) {
    const double n = last[key].get<double>();
    return fixed(n, n == std::floor(n) ? 0 : 1);
  };
  if (solves(metrics)) {
    list.push_back({evaluations("nfe_forward") + " / " + evaluations("nfe_backward"),
                    "NFE forward / backward"});
  }
  const double seconds = last["seconds"].get<double>();
  list.push_back({fixed(seconds, seconds < 10 ? 1 : 0) + " s", "training"});
  const double epochs = last["step"].get<double>() / epoch_steps;  // --iterations may cut one off
  list.push_back(
      {fixed(epochs, epochs == std::floor(epochs) ? 0 : 1), epochs == 1 ? "epoch" : "epochs"});
  return list;
}

std::string summary(const std::string& config, const Json& metrics, const Json& outcome) {
  if (!outcome.is_object()) return config_value(config, "data") + ", imported weights";
  const std::string solver = solves(metrics) ? config_value(config, "solver") + ", " : "";
  return config_value(config, "data") + ", trained with " + solver +
         config_value(config, "optimizer") + ", batch " + config_value(config, "batch");
}

// What is to be said of a run that has not come to its end.
std::string notice(const Json& outcome) {
  if (!outcome.is_object()) return {};
  const std::string state = outcome.value("state", "");
  if (state == "stopped") {
    return "This run was stopped before its end; this is how far it had come. slope train --resume "
           "goes on with it.";
  }
  if (state == "failed") {
    return "This run failed; this is how far it had come. What was wrong: " +
           outcome.value("why", "");
  }
  if (state == "running") {
    return "This run had not ended when this page was made: it was still training, or it was "
           "killed "
           "or ran into a full disk. slope train --resume goes on with one that no longer trains.";
  }
  return {};
}

}  // namespace

void write(const fs::path& run) {
  const std::string config = read_text(run / "config.toml");
  const Json metrics = read_csv(
      run / "metrics.csv",
      {"epoch", "step", "seconds", "test_loss", "test_accuracy", "nfe_forward", "nfe_backward"});
  const Json results = read_json(run / "results.json");
  const std::string model = config_value(config, "model");
  const Json outcome = read_json(run / "outcome.json");
  const double first = metrics.empty() ? 1 : metrics.front()["step"].get<double>();
  const double epoch_steps = outcome.is_object() ? outcome.value("epoch_steps", first) : first;
  Json data{{"summary", summary(config, metrics, outcome)},
            {"notice", notice(outcome)},
            {"epoch_steps", epoch_steps},
            {"config", config},
            {"data", config_value(config, "data")},
            {"dtype", config_value(config, "dtype")},
            {"figures", figures(metrics, epoch_steps)},
            {"metrics", metrics},
            {"adapt", read_csv(run / "adapt.csv", {"step", "size"})},
            {"results", results.is_object() ? results : Json::object()}};
  for (const std::string& name : kFiles) data[name] = read_json(run / (name + ".json"));
  write_page(run / "report.html", model, kScripts, data);
}

}  // namespace slope::report
