#include "apps/slope/results.h"

#include <algorithm>
#include <fstream>
#include <iostream>

#include "apps/report/report.h"
#include "core/atomic_file.h"

namespace slope::program {
namespace {

using Json = nlohmann::ordered_json;

// Null when it is not there; discarded when it is not JSON.
Json read_json(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return nullptr;
  if (!std::filesystem::is_regular_file(path)) return Json::value_t::discarded;
  std::ifstream in(path);
  return Json::parse(in, nullptr, false);
}

void add_results(const Run& run, const std::string& key, const Json& results,
                 const std::vector<std::string>& identity) {
  const std::filesystem::path path = run.folder / "results.json";
  Json all = read_json(path);
  if (all.is_null()) all = Json{{"step", run.step}};
  if (!all.is_object()) throw DataError(path.string() + ": not a results file; move it away.");
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
  write_atomically(path, json_text(all, 1) + "\n");
}

}  // namespace

void drop_stale_results(const std::filesystem::path& run, int64_t step) {
  for (const char* file :
       {"results.json", "pictures.json", "plane.json", "states.json", "mistakes.json"}) {
    const Json json = read_json(run / file);
    if (json.is_object() && json.value("step", int64_t{-1}) != step)
      std::filesystem::remove(run / file);
  }
}

void keep_results(const Run& run, const std::string& key, Json results,
                  const std::vector<std::string>& identity, const std::string& data,
                  Json pictures) {
  if (!has_last_weights(run)) return;
  std::vector<std::string> fields = identity;
  fields.insert(fields.end(), {"data", "dtype", "seed"});
  for (Json& result : results) {
    result["data"] = data;
    result["dtype"] = run.settings.dtype;
    result["seed"] = run.settings.seed;
  }
  try {
    drop_stale_results(run.folder, run.step);
    add_results(run, key, results, fields);
    if (!pictures.is_null()) {
      pictures["step"] = run.step;
      write_atomically(run.folder / "pictures.json", json_text(pictures));
    }
    report::write(run.folder);
  } catch (const std::exception& error) {
    std::cerr << "warning: the run folder keeps no such result: " << error.what() << "\n";
  }
}

}  // namespace slope::program
