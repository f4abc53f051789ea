#include "apps/slope/results.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "apps/slope/run_folder.h"

namespace slope::program {

using Json = nlohmann::ordered_json;

void add_results(const std::filesystem::path& run, const std::string& key, const Json& results,
                 const std::vector<std::string>& identity) {
  const std::filesystem::path path = run / "results.json";
  Json all = Json::object();
  if (std::ifstream in(path); in) {
    all = Json::parse(in, nullptr, false);
    if (all.is_discarded() || !all.is_object())
      throw DataError(path.string() + ": not a results file; move it away.");
  }
  Json& list = all[key];
  if (!list.is_array()) list = Json::array();
  for (const Json& result : results) {
    const auto same = [&](const Json& old) {
      return std::all_of(identity.begin(), identity.end(), [&](const std::string& field) {
        return old.contains(field) && old[field] == result[field];
      });
    };
    const auto found = std::find_if(list.begin(), list.end(), same);
    if (found != list.end()) {
      *found = result;
    } else {
      list.push_back(result);
    }
  }
  write_text(path, all.dump(1) + "\n");
}

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      // Words to the left, numbers to the right.
      const bool number = &row != &rows.front() && !row[i].empty() &&
                          row[i].find_first_not_of("0123456789.%-+e") == std::string::npos;
      const std::string space(widths[i] - row[i].size(), ' ');
      line += (i ? "  " : "") + (number ? space + row[i] : row[i] + space);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string percent(double fraction) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f%%", 100 * fraction);
  return text;
}

}  // namespace slope::program
