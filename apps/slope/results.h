// Results that `eval` and `attack` keep in a run folder, for its report.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"

namespace slope::program {

// Puts `results` under `key` ("eval", "attack") of RUN/results.json; entries that agree in the
// `identity` fields, the data, the dtype and the seed are replaced. Then renews the report.
// pictures: what pictures.json shall hold; null: as it is. A folder that cannot be written is a
// warning on stderr, no error: the results are printed anyway.
void keep_results(const Run& run, const std::string& key, nlohmann::ordered_json results,
                  const std::vector<std::string>& identity, const std::string& data,
                  nlohmann::ordered_json pictures = nullptr);

// Removes what the report draws beside the curves (results, pictures, plane, states, mistakes)
// where it was made with weights of another step: it must not stand beside a training that went on.
void drop_stale_results(const std::filesystem::path& run, int64_t step);

}  // namespace slope::program
