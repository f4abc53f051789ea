// The report of a run: one self-contained HTML file that opens offline.
#pragma once

#include <filesystem>

namespace slope::report {

// Writes RUN/report.html from what the run folder holds: config.toml, metrics.csv, results.json,
// pictures.json and plane.json as far as they are there.
void write(const std::filesystem::path& run);

}  // namespace slope::report
