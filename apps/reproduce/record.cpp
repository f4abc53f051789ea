#include "apps/reproduce/record.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "apps/slope/output.h"
#include "apps/slope/run_folder.h"
#include "core/atomic_file.h"

namespace slope::reproduce {
namespace {

using Json = nlohmann::ordered_json;

std::optional<double> number(const Json& result, const std::string& field) {
  const auto found = result.find(field);
  if (found == result.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

// A field of one line of metrics.csv.
std::optional<double> of_epoch(const std::filesystem::path& run, const std::string& epoch,
                               const std::string& field) {
  std::ifstream in(run / "metrics.csv");
  const auto cells = [&in] {
    std::vector<std::string> parts;
    std::string line;
    std::getline(in, line);
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) parts.push_back(cell);
    return parts;
  };
  const std::vector<std::string> names = cells();
  const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), field) - names.begin());
  while (in) {
    const std::vector<std::string> row = cells();
    if (!row.empty() && row[0] == epoch && at < row.size()) return std::atof(row[at].c_str());
  }
  return std::nullopt;
}

bool fits(const Json& result, const Figure& figure) {
  return std::all_of(figure.where.begin(), figure.where.end(), [&](const auto& wish) {
    const auto found = result.find(wish.first);
    return found != result.end() && found->is_string() && *found == wish.second;
  });
}

}  // namespace

Record::Record(std::filesystem::path run) : run_(std::move(run)) {
  std::ifstream in(run_ / "reproduce.json");
  json_ = in ? Json::parse(in, nullptr, false) : Json();
  if (!json_.is_object()) json_ = Json::object();
  for (const char* part : {"train", "measured"}) {
    if (!json_.contains(part) || !json_[part].is_object()) json_[part] = nullptr;
  }
}

void Record::write() const {
  write_atomically(run_ / "reproduce.json", program::json_text(json_, 1) + "\n");
}

void Record::set_train(const Json& result) {
  json_["train"] = result;
  json_["measured"] = nullptr;  // of other weights
  write();
}

Json Record::measured(const std::string& name, const std::string& arguments) const {
  const Json& all = json_.at("measured");
  if (!all.is_object() || !all.contains(name)) return nullptr;
  const Json& one = all.at(name);
  const bool same = one.is_object() && one.value("arguments", "") == arguments &&
                    one.contains("results") && one["results"].is_array();
  return same ? one : Json();
}

void Record::set_measured(const std::string& name, const std::string& arguments,
                          const Json& results, const Json& minima) {
  json_["measured"][name] = {{"arguments", arguments}, {"results", results}, {"minima", minima}};
  write();
}

std::optional<Record::Value> Record::value(const Figure& figure) const {
  if (figure.from.starts_with("epoch ")) {
    const auto value = of_epoch(run_, figure.from.substr(6), figure.field);
    return value ? std::optional<Value>({*value, 0}) : std::nullopt;
  }
  if (figure.from == "train") {
    const auto value =
        json_.at("train").is_object() ? number(json_.at("train"), figure.field) : std::nullopt;
    return value ? std::optional<Value>({*value, 0}) : std::nullopt;
  }
  const Json& all = json_.at("measured");
  if (!all.is_object() || !all.contains(figure.from)) return std::nullopt;
  const bool quoted = figure.take == Figure::Take::quoted;
  std::optional<Value> found;
  for (const Json& result : all.at(figure.from).at(quoted ? "minima" : "results")) {
    const auto value = fits(result, figure) ? number(result, figure.field) : std::nullopt;
    if (!value || (found && found->value <= *value)) continue;
    found = {*value, static_cast<int64_t>(number(result, "examples").value_or(0))};
    if (figure.take != Figure::Take::lowest) break;
  }
  return found;
}

}  // namespace slope::reproduce
