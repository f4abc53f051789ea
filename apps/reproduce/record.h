// What has been measured of one run of an experiment, kept in its folder as reproduce.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/reproduce/preset.h"

namespace slope::reproduce {

class Record {
 public:
  // Reads what is there; nothing, where there is no such file or it is damaged.
  explicit Record(std::filesystem::path run);

  // What the training printed; null until it has ended.
  const nlohmann::ordered_json& train() const { return json_["train"]; }
  void set_train(const nlohmann::ordered_json& result);
  // What a measurement gave, with these arguments; null otherwise.
  nlohmann::ordered_json measured(const std::string& name, const std::string& arguments) const;
  void set_measured(const std::string& name, const std::string& arguments,
                    const nlohmann::ordered_json& results, const nlohmann::ordered_json& minima);

  // The value of a figure, and how many test samples it was measured on (0: of the training).
  // Nothing where it has not been measured, or no result fits.
  struct Value {
    double value = 0;
    int64_t examples = 0;
  };
  std::optional<Value> value(const Figure& figure) const;

 private:
  void write() const;
  std::filesystem::path run_;
  nlohmann::ordered_json json_;
};

}  // namespace slope::reproduce
