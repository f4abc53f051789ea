// Options that every command has, and how options come from the command line or from a TOML file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

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

// A new subcommand. what: one line for --help.
CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& what);

// The command line as a whole makes no sense: exit status 2.
struct UsageError : Error {
  using Error::Error;
};

// What is wrong with a value, given as text; empty when nothing is.
using Check = std::function<std::string(const std::string& text)>;
Check positive();      // a finite number above 0
Check not_negative();  // a finite number from 0 on
Check from_0_to_1();
Check one_of(std::vector<std::string> words);

// An option of a command, for what is said about it beyond its name.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option* required();
  // Whether words that follow its value belong to it too, as with a list.
  Option* allow_extra_args(bool allow);
  Option* delimiter(char sign);               // between the values of a list in one word
  Option* group(const std::string& heading);  // in --help

 private:
  CLI::Option* option_;
};

// The options of one command, each with a member that holds its value: filled from --config first,
// then from the command line, which wins.
class OptionList {
 public:
  OptionList();  // of no command: to read a file with
  explicit OptionList(CLI::App& app);

  // name: "--solver", or "model" for a positional argument. The default is what `value` holds;
  // --help shows it. T: std::string, int, int64_t, uint64_t, double, or a std::vector of
  // std::string, int64_t or double.
  template <typename T>
  Option* add(const std::string& name, T& value, const std::string& help, Check check = {});
  Option* add_flag(const std::string& name, bool& value, const std::string& help);

  // Sets the values from a TOML file. Errors, all ValueError with file and line: malformed, an
  // unknown key (the nearest one is offered), a value of another type or outside its range.
  void read_toml(const std::string& path);

  // Sets the values from the words of a command line. What is not among them keeps its value, also
  // where it is required. ValueError: words that are no such options, and wrong values.
  void read_words(const std::vector<std::string>& words);

  // Whether an option ("limit") has been given, in the file or on the command line.
  bool given(const std::string& name) const;
  // The names of those given on the command line, "model" and "limit" alike.
  std::vector<std::string> typed() const;

 private:
  enum class Kind { flag, whole_number, number, text };
  struct Entry {
    CLI::Option* option;
    Kind kind;
    Check check;
    std::function<bool(const std::string& text)> set;  // false: the text is no such value
    std::unique_ptr<Option> handle;
    bool in_file = false;
  };

  template <typename T>
  static constexpr Kind kind_of();
  template <typename T>
  Option* remember(const std::string& name, CLI::Option* option, T& value, const Check& check);
  template <typename T>
  Option* remember(const std::string& name, CLI::Option* option, std::vector<T>& list,
                   const Check& check);
  Option* remember(const std::string& name, Entry entry);
  std::string problem(const Entry& entry, const std::string& type, const std::string& text) const;

  const std::shared_ptr<CLI::App> app_;
  std::map<std::string, Entry> entries_;  // by key: the name without dashes in front
};

// Adds the options of Settings.
void add_settings(OptionList& options, Settings& settings);
// Threads, default device: what holds for the whole process.
void apply_settings(const Settings& settings);

}  // namespace slope::program
