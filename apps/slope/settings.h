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
  bool seed_given = false, dtype_given = false;  // rather than left at their defaults
  std::string data_dir;
  bool exact = false;
  bool quiet = false;
  bool json = false;
  bool force = false;

  Dtype value_dtype() const { return dtype == "float64" ? Dtype::f64 : Dtype::f32; }
};

// What is wrong with a value, given as text; empty when nothing is.
using Check = std::function<std::string(const std::string& text)>;
Check positive();      // a finite number above 0
Check not_negative();  // a finite number from 0 on
Check from_0_to_1();
Check one_of(std::vector<std::string> words);

// The options of one command, each with a member that holds its value: filled from --config first,
// then from the command line, which wins.
class OptionList {
 public:
  explicit OptionList(CLI::App& app) : app_(app) {}

  // name: "--solver", or "model" for a positional argument. The default is what `value` holds;
  // --help shows it.
  template <typename T>
  CLI::Option* add(const std::string& name, T& value, const std::string& help, Check check = {}) {
    CLI::Option* option = app_.add_option(name, value, help)->capture_default_str();
    remember(name, option, value, check);
    if (check) option->check(CLI::Validator(std::move(check), ""));
    return option;
  }
  CLI::Option* add_flag(const std::string& name, bool& value, const std::string& help);

  // Sets the values from a TOML file. Errors, all ValueError with file and line: malformed, an
  // unknown key (the nearest one is offered), a value of another type or outside its range.
  void read_toml(const std::string& path);

  // Whether an option ("limit") has been given, in the file or on the command line.
  bool given(const std::string& name) const;

 private:
  enum class Kind { flag, whole_number, number, text };
  struct Entry {
    CLI::Option* option;
    Kind kind;
    Check check;
    std::function<bool(const std::string& text)> set;  // false: the text is no such value
    bool in_file = false;
  };

  template <typename T>
  static constexpr Kind kind_of() {
    if constexpr (std::is_same_v<T, bool>) return Kind::flag;
    if constexpr (std::is_integral_v<T>) return Kind::whole_number;
    if constexpr (std::is_floating_point_v<T>) return Kind::number;
    return Kind::text;
  }
  template <typename T>
  void remember(const std::string& name, CLI::Option* option, T& value, const Check& check) {
    entries_[name.substr(name.find_first_not_of('-'))] = {
        option, kind_of<T>(), check,
        [&value](const std::string& text) { return CLI::detail::lexical_cast(text, value); }};
  }
  template <typename T>
  void remember(const std::string& name, CLI::Option* option, std::vector<T>& list,
                const Check& check) {
    entries_[name.substr(name.find_first_not_of('-'))] = {
        option, kind_of<T>(), check, [&list](const std::string& text) {
          list.emplace_back();
          return CLI::detail::lexical_cast(text, list.back());
        }};
  }
  std::string problem(const Entry& entry, const std::string& type, const std::string& text) const;

  CLI::App& app_;
  std::map<std::string, Entry> entries_;  // by key: the name without dashes in front
};

// Adds the options of Settings.
void add_settings(OptionList& options, Settings& settings);
// Threads, default device: what holds for the whole process.
void apply_settings(const Settings& settings);

}  // namespace slope::program
