#include "apps/slope/output.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <system_error>

#include "core/error.h"

namespace slope::program {

void print(const std::string& text) {
  errno = 0;
  std::cout << text << std::flush;
  if (std::cout) return;
  const std::string reason = errno ? std::generic_category().message(errno) : "closed";
  throw DataError(concat("stdout: the result cannot be written: ", reason, "."));
}

void print_json(const nlohmann::ordered_json& json) { print(json_text(json) + "\n"); }

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
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

std::string shown(double value) { return std::isnan(value) ? "nan" : concat(value); }

}  // namespace slope::program
