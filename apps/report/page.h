// A page of a report: one self-contained HTML file, with the data it draws in it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slope::report {

// Writes a page to a temporary name and renames it. scripts: the assets that draw it, in this order
// ("line_chart.js"), after base.js; data: with at least "summary", "config" (texts) and "figures"
// ([[value, label], ..]), and a text "notice" where there is something to say before all else.
void write_page(const std::filesystem::path& file, const std::string& title,
                const std::vector<std::string>& scripts, const nlohmann::ordered_json& data);

}  // namespace slope::report
