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

// metrics.csv as a list of objects of numbers.
Json read_metrics(const fs::path& path) {
  std::istringstream in(read_text(path));
  const auto cells = [](const std::string& line) {
    std::vector<std::string> parts;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) parts.push_back(cell);
    return parts;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = cells(line);
  Json rows = Json::array();
  for (const char* needed :
       {"epoch", "seconds", "test_loss", "test_accuracy", "nfe_forward", "nfe_backward"}) {
    if (std::find(names.begin(), names.end(), needed) == names.end()) return rows;
  }
  while (std::getline(in, line)) {
    const std::vector<std::string> values = cells(line);
    if (values.size() != names.size()) continue;  // a line that was cut off
    Json row;
    for (size_t i = 0; i < names.size(); ++i)
      row[names[i]] = std::strtod(values[i].c_str(), nullptr);
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

Json figures(const Json& metrics) {
  Json list = Json::array();
  if (metrics.empty()) return list;
  const Json& last = metrics.back();
  double best = 0;
  for (const Json& row : metrics) best = std::max(best, row["test_accuracy"].get<double>());
  list.push_back(
      {fixed(100 * last["test_accuracy"].get<double>(), 2) + " %", "test accuracy, last epoch"});
  list.push_back({fixed(100 * best, 2) + " %", "test accuracy, best epoch"});
  list.push_back({fixed(last["test_loss"].get<double>(), 4), "test loss"});
  const auto evaluations = [&](const char* key) {
    const double n = last[key].get<double>();
    return fixed(n, n == std::floor(n) ? 0 : 1);
  };
  list.push_back(
      {evaluations("nfe_forward") + " / " + evaluations("nfe_backward"), "NFE forward / backward"});
  const double seconds = last["seconds"].get<double>();
  list.push_back({fixed(seconds, seconds < 10 ? 1 : 0) + " s", "training"});
  return list;
}

}  // namespace

void write(const fs::path& run) {
  const std::string config = read_text(run / "config.toml");
  const Json metrics = read_metrics(run / "metrics.csv");
  const Json results = read_json(run / "results.json");
  const std::string model = config_value(config, "model");
  const Json data{
      {"summary", config_value(config, "data") + ", trained with " +
                      config_value(config, "solver") + ", " + config_value(config, "optimizer") +
                      ", batch " + config_value(config, "batch")},
      {"config", config},
      {"data", config_value(config, "data")},
      {"dtype", config_value(config, "dtype")},
      {"figures", figures(metrics)},
      {"metrics", metrics},
      {"results", results.is_object() ? results : Json::object()},
      {"mistakes", read_json(run / "mistakes.json")},
      {"pictures", read_json(run / "pictures.json")},
      {"plane", read_json(run / "plane.json")}};
  write_page(run / "report.html", model, "report.js", data);
}

}  // namespace slope::report
