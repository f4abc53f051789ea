// Files inside the program: style sheet, script and template of the report, and the chart library.
#pragma once

#include <string_view>

namespace slope::report {

// By file name, e.g. "report.css"; empty when this build does not carry it.
std::string_view asset(std::string_view name);

}  // namespace slope::report
