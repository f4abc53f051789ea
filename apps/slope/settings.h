// Options that every command has, and how options come from the command line or from a TOML file.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slope::program {

struct Settings {
  int threads = 0;  // 0: all cores
  std::string device = "cpu";
  uint64_t seed = 0;
  std::string dtype = "float32";
  std::string data_dir;
  bool exact = false;
  bool quiet = false;
  bool json = false;
  bool force = false;

  Dtype value_dtype() const { return dtype == "float64" ? Dtype::f64 : Dtype::f32; }
};

// The options of one command, each with a member that holds its value: filled from --config first,
// then from the command line, which wins.
class OptionList {
 public:
  explicit OptionList(CLI::App& app) : app_(app) {}

  // name: "--solver", or "model" for a positional argument. The default is what `value` holds;
  // --help shows it.
  template <typename T>
  CLI::Option* add(const std::string& name, T& value, const std::string& help) {
    remember(name, value);
    return app_.add_option(name, value, help)->capture_default_str();
  }
  CLI::Option* add_flag(const std::string& name, bool& value, const std::string& help);

  // Sets the values from a TOML file. Errors, all ValueError with file and line: malformed, an
  // unknown key (the nearest one is offered), a value of another type.
  void read_toml(const std::string& path);

 private:
  using Setter = std::function<void(const std::string& text)>;
  void remember(const std::string& name, std::string& value);
  void remember(const std::string& name, std::vector<std::string>& value);
  void remember(const std::string& name, bool& value);
  void remember(const std::string& name, int& value);
  void remember(const std::string& name, int64_t& value);
  void remember(const std::string& name, uint64_t& value);
  void remember(const std::string& name, double& value);
  void remember(const std::string& name, std::vector<int64_t>& value);

  CLI::App& app_;
  std::map<std::string, Setter> setters_;  // by key: the name without dashes in front
};

// Adds the options of Settings.
void add_settings(OptionList& options, Settings& settings);
// Threads, default device: what holds for the whole process.
void apply_settings(const Settings& settings);

}  // namespace slope::program
