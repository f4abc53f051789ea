// The report of a run: one self-contained HTML file that opens offline.
#pragma once

#include <filesystem>

namespace slope::report {

// Writes RUN/report.html from what the run folder holds: config.toml, metrics.csv, outcome.json
// (how the run ended), results.json, mistakes.json, pictures.json, plane.json and states.json as
// far as they are there.
void write(const std::filesystem::path& run);

}  // namespace slope::report
