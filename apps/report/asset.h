// Files that every report.html needs, carried inside the program so that a report opens offline.
// The function is made by cmake/embed.cmake from apps/report/assets/ and the chart library
// Chart.js.
#pragma once

#include <string_view>

namespace slope::report {

// The text of a file by its name, e.g. "chart.min.js" or a file of apps/report/assets/; empty when
// this build does not carry it.
std::string_view asset(std::string_view name);

}  // namespace slope::report
