// Results that `eval` and `attack` add to a run folder, for its report, and the tables people see.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slope::program {

// Puts `results` under `key` ("eval", "attack") of RUN/results.json; entries with the same
// `identity` fields are replaced.
void add_results(const std::filesystem::path& run, const std::string& key,
                 const nlohmann::ordered_json& results, const std::vector<std::string>& identity);

// Columns aligned; the first row is the head.
std::string table_text(const std::vector<std::vector<std::string>>& rows);
std::string percent(double fraction);

}  // namespace slope::program
