#include "apps/slope/settings.h"

#include <toml++/toml.h>

#include <cstdlib>

#include "backends/cpu/threads.h"
#include "core/nearest.h"

namespace slope::program {
namespace {

// A TOML scalar as the text that the command line would have.
std::string text_of(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (const auto* i = node.as_integer()) return std::to_string(i->get());
  if (const auto* f = node.as_floating_point()) return concat(f->get());
  return {};
}

template <typename T>
T converted(const std::string& text) {
  T value{};
  if (!CLI::detail::lexical_cast(text, value)) throw ValueError("cannot read \"" + text + "\"");
  return value;
}

}  // namespace

CLI::Option* OptionList::add_flag(const std::string& name, bool& value, const std::string& help) {
  remember(name, value);
  return app_.add_flag(name, value, help);
}

#define SLOPE_REMEMBER(T)                                                                    \
  void OptionList::remember(const std::string& name, T& value) {                             \
    setters_[name.substr(name.find_first_not_of('-'))] = [&value](const std::string& text) { \
      value = converted<T>(text);                                                            \
    };                                                                                       \
  }
SLOPE_REMEMBER(bool)
SLOPE_REMEMBER(int)
SLOPE_REMEMBER(int64_t)
SLOPE_REMEMBER(uint64_t)
SLOPE_REMEMBER(double)
#undef SLOPE_REMEMBER

void OptionList::remember(const std::string& name, std::string& value) {
  setters_[name.substr(name.find_first_not_of('-'))] = [&value](const std::string& text) {
    value = text;
  };
}
void OptionList::remember(const std::string& name, std::vector<std::string>& value) {
  setters_[name.substr(name.find_first_not_of('-'))] = [&value](const std::string& text) {
    value.push_back(text);
  };
}
void OptionList::remember(const std::string& name, std::vector<int64_t>& value) {
  setters_[name.substr(name.find_first_not_of('-'))] = [&value](const std::string& text) {
    value.push_back(converted<int64_t>(text));
  };
}

void OptionList::read_toml(const std::string& path) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    throw ValueError(concat(path, ":", error.source().begin.line, ": ", error.description(), "."));
  }
  std::vector<std::string> known;
  for (const auto& [key, setter] : setters_) known.push_back(key);
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const auto where = concat(path, ":", node.source().begin.line, ": ");
    const auto found = setters_.find(name);
    if (found == setters_.end()) {
      throw ValueError(
          concat(where, "there is no option ", name, ". Did you mean ", nearest(name, known), "?"));
    }
    try {
      if (const toml::array* list = node.as_array()) {
        for (const toml::node& item : *list) found->second(text_of(item));
      } else if (node.is_table()) {
        throw ValueError("a table");
      } else {
        found->second(text_of(node));
      }
    } catch (const ValueError& error) {
      throw ValueError(concat(where, "option ", name, ": ", error.what(), "."));
    }
  }
}

void add_settings(OptionList& options, Settings& s) {
  options.add("--threads", s.threads, "Threads; 0: all cores")
      ->check(CLI::NonNegativeNumber)
      ->group("Everywhere");
  options.add("--device", s.device, "Where to compute: cpu or reference (slope info devices)")
      ->group("Everywhere");
  options.add("--seed", s.seed, "Seed of everything random")->group("Everywhere");
  options.add("--dtype", s.dtype, "float32 or float64")
      ->check(CLI::IsMember({"float32", "float64"}))
      ->group("Everywhere");
  options
      .add("--data-dir", s.data_dir,
           "Where data sets lie; default: SLOPE_DATA, then beside the program")
      ->group("Everywhere");
  options.add_flag("--exact", s.exact, "Direct convolutions only (all kernels of this build are)")
      ->group("Everywhere");
  options.add_flag("--quiet", s.quiet, "No progress on stderr")->group("Everywhere");
  options.add_flag("--json", s.json, "The result as one JSON object on stdout")
      ->group("Everywhere");
  options.add_flag("--force", s.force, "Overwrite what exists")->group("Everywhere");
}

void apply_settings(const Settings& settings) {
  if (settings.threads > 0) cpu::set_threads(settings.threads);
  static const DeviceScope scope(device(settings.device));  // until the program ends
}

}  // namespace slope::program
