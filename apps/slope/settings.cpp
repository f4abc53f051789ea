#include "apps/slope/settings.h"

#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "backends/backends.h"
#include "backends/cpu/threads.h"
#include "core/exact.h"
#include "core/nearest.h"

namespace slope::program {
namespace {

// A TOML scalar as the text that the command line would have, and what it is for people.
std::string text_of(const toml::node& node, std::string* type) {
  if (const auto* s = node.as_string()) return *type = "text", s->get();
  if (const auto* b = node.as_boolean())
    return *type = "true or false", b->get() ? "true" : "false";
  if (const auto* i = node.as_integer()) return *type = "a whole number", std::to_string(i->get());
  if (const auto* f = node.as_floating_point()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", f->get());
    return *type = "a number", text;
  }
  *type = node.is_table() ? "a table" : node.is_array() ? "a list" : "a date or time";
  return {};
}

// The number in a text; an empty option when it is not one, or not finite.
std::optional<double> finite_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !std::isfinite(value)) return std::nullopt;
  return value;
}

Check number_check(const std::string& wish, bool (*allowed)(double)) {
  return [wish, allowed](const std::string& text) {
    const auto value = finite_number(text);
    return value && allowed(*value) ? std::string() : concat("must be ", wish, ", got ", text);
  };
}

// The seeds that TOML can hold. Not by way of a double, which rounds the largest of them.
Check seed_check() {
  return [](const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && value >= 0
               ? std::string()
               : concat("must be a whole number from 0 to 9223372036854775807 (2^63 - 1), got ",
                        text);
  };
}

}  // namespace

CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& what) {
  return program.add_subcommand(name, what);
}

Option* Option::required() {
  option_->required();
  return this;
}
Option* Option::allow_extra_args(bool allow) {
  option_->allow_extra_args(allow);
  return this;
}
Option* Option::delimiter(char sign) {
  option_->delimiter(sign);
  return this;
}
Option* Option::group(const std::string& heading) {
  option_->group(heading);
  return this;
}

Check positive() {
  return number_check("positive", [](double v) { return v > 0; });
}
Check not_negative() {
  return number_check("0 or more", [](double v) { return v >= 0; });
}
Check from_0_to_1() {
  return number_check("from 0 to 1", [](double v) { return v >= 0 && v <= 1; });
}
Check one_of(std::vector<std::string> words) {
  return [words = std::move(words)](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
    std::string all;
    for (const std::string& w : words) all += (all.empty() ? "" : ", ") + w;
    return concat("must be one of ", all, ", got ", text);
  };
}

template <typename T>
constexpr OptionList::Kind OptionList::kind_of() {
  if constexpr (std::is_same_v<T, bool>) return Kind::flag;
  if constexpr (std::is_integral_v<T>) return Kind::whole_number;
  if constexpr (std::is_floating_point_v<T>) return Kind::number;
  return Kind::text;
}

OptionList::OptionList() : app_(std::make_shared<CLI::App>()) {}
OptionList::OptionList(CLI::App& app) : app_(std::shared_ptr<void>(), &app) {}

Option* OptionList::remember(const std::string& name, Entry entry) {
  entry.handle = std::make_unique<Option>(entry.option);
  Entry& kept = entries_[name.substr(name.find_first_not_of('-'))];
  kept = std::move(entry);
  return kept.handle.get();
}

template <typename T>
Option* OptionList::remember(const std::string& name, CLI::Option* option, T& value,
                             const Check& check) {
  const auto set = [&value](const std::string& text) {
    return CLI::detail::lexical_cast(text, value);
  };
  return remember(name, {option, kind_of<T>(), check, set, nullptr});
}

template <typename T>
Option* OptionList::remember(const std::string& name, CLI::Option* option, std::vector<T>& list,
                             const Check& check) {
  const auto set = [&list](const std::string& text) {
    list.emplace_back();
    return CLI::detail::lexical_cast(text, list.back());
  };
  return remember(name, {option, kind_of<T>(), check, set, nullptr});
}

template <typename T>
Option* OptionList::add(const std::string& name, T& value, const std::string& help, Check check) {
  CLI::Option* option = app_->add_option(name, value, help)->capture_default_str();
  if (check) option->check(CLI::Validator(check, ""));
  return remember(name, option, value, check);
}

// What CLI11 makes of a type is compiled once, here, not in every command.
#define SLOPE_OPTION_OF(...)                                                    \
  template Option* OptionList::add(const std::string& name, __VA_ARGS__& value, \
                                   const std::string& help, Check check);
SLOPE_OPTION_OF(std::string)
SLOPE_OPTION_OF(int)
SLOPE_OPTION_OF(int64_t)
SLOPE_OPTION_OF(uint64_t)
SLOPE_OPTION_OF(double)
SLOPE_OPTION_OF(std::vector<std::string>)
SLOPE_OPTION_OF(std::vector<int64_t>)
SLOPE_OPTION_OF(std::vector<double>)
#undef SLOPE_OPTION_OF

Option* OptionList::add_flag(const std::string& name, bool& value, const std::string& help) {
  CLI::Option* option = app_->add_flag(name, value, help);
  const size_t last = name.rfind("--");  // "-v,--verbose"
  return remember(name.substr(last), option, value, {});
}

// Sets one value of an option; what is wrong with it, or nothing.
std::string OptionList::problem(const Entry& entry, const std::string& type,
                                const std::string& text) const {
  constexpr const char* kWishes[] = {"true or false", "a whole number", "a number", "text"};
  const std::string wish = kWishes[static_cast<int>(entry.kind)];
  const bool fits = type == wish || (entry.kind == Kind::number && type == "a whole number");
  if (!fits) return concat("must be ", wish, ", got ", type);
  if (std::string wrong = entry.check ? entry.check(text) : ""; !wrong.empty()) return wrong;
  if (!entry.set(text)) return concat("must be ", wish, " in its range, got ", text);
  return {};
}

void OptionList::read_toml(const std::string& path) {
  toml::table table;
  if (std::filesystem::is_directory(path)) throw DataError(path + ": is a folder, no TOML file.");
  if (!std::ifstream(path)) throw DataError(path + ": cannot be opened.");
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    throw ValueError(concat(path, ":", error.source().begin.line, ": ", error.description(), "."));
  }
  std::vector<std::string> known;
  for (const auto& [key, entry] : entries_) known.push_back(key);
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const auto where = concat(path, ":", node.source().begin.line, ": ");
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      throw ValueError(
          concat(where, "there is no option ", name, ". Did you mean ", nearest(name, known), "?"));
    }
    const auto set = [&](const toml::node& value) {
      std::string type;
      const std::string text = text_of(value, &type);
      if (const std::string wrong = problem(found->second, type, text); !wrong.empty())
        throw ValueError(concat(where, "option ", name, " ", wrong, "."));
    };
    const toml::array* list = node.as_array();
    if (list && found->second.option->get_expected_max() > 1) {
      for (const toml::node& item : *list) set(item);
    } else {
      set(node);
    }
    found->second.option->required(false);  // it has a value now
    found->second.in_file = true;
  }
}

void OptionList::read_words(const std::vector<std::string>& words) {
  for (auto& [key, entry] : entries_) entry.option->required(false);
  try {
    app_->parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    throw ValueError(concat("\"", line, "\": ", error.what(), "."));
  }
}

bool OptionList::given(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  return entry.in_file || entry.option->count() > 0;
}

std::vector<std::string> OptionList::typed() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    if (option->count() > 0) names.push_back(option->get_single_name());
  }
  return names;
}

void add_settings(OptionList& options, Settings& s) {
  options.add("--threads", s.threads, "Threads; 0: all cores", not_negative())->group("Everywhere");
  options
      .add("--device", s.device,
           "Where to compute: cpu, cuda[:i] or reference (slope info devices)")
      ->group("Everywhere");
  options.add("--seed", s.seed, "Seed of everything random", seed_check())->group("Everywhere");
  options.add("--dtype", s.dtype, "float32 or float64", one_of({"float32", "float64"}))
      ->group("Everywhere");
  options
      .add("--data-dir", s.data_dir,
           "The folder of the data sets; default: SLOPE_DATA, else beside the program")
      ->group("Everywhere");
  options.add_flag("--exact", s.exact, "Direct convolutions only: none by Winograd's method")
      ->group("Everywhere");
  options.add_flag("--quiet", s.quiet, "No progress on stderr")->group("Everywhere");
  options.add_flag("--json", s.json, "The result as one JSON object on stdout")
      ->group("Everywhere");
  options.add_flag("--force", s.force, "Overwrite what exists")->group("Everywhere");
}

namespace {

// A GPU that cannot be used says why.
Device chosen_device(const std::string& name) {
  if (name.starts_with("cuda")) {
    for (const GpuReport& gpu : gpu_reports()) {
      if (!gpu.available && (gpu.name == "cuda" || gpu.name == name || gpu.name == name + ":0")) {
        throw DeviceError(concat("--device ", name, ": ", gpu.what, ". Use --device cpu."));
      }
    }
  }
  return device(name);
}

}  // namespace

void apply_settings(const Settings& settings) {
  if (settings.threads > 0) cpu::set_threads(settings.threads);
  // Until the program ends:
  static const DeviceScope scope(chosen_device(settings.device));
  static const ExactScope exact(settings.exact);
}

}  // namespace slope::program
