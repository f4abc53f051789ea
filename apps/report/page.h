// A page of a report: one self-contained HTML file, with the data it draws in it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace slope::report {

// Writes a page to a temporary name and renames it. script: the asset that draws it ("report.js"),
// from data with at least "summary", "config" (texts) and "figures" ([[value, label], ..]).
void write_page(const std::filesystem::path& file, const std::string& title,
                const std::string& script, const nlohmann::ordered_json& data);

}  // namespace slope::report
