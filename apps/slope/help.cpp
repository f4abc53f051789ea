#include "apps/slope/help.h"

#include <algorithm>

#include "core/error.h"
#include "core/nearest.h"

namespace slope::program {
namespace {

// Options as "--epochs N", the default behind the description.
class HelpFormat final : public CLI::Formatter {
 public:
  HelpFormat() {
    column_width(26);
    label("OPTIONS", "options");
    label("SUBCOMMAND", "command");
    label("Positionals", "Arguments");
    label("Subcommands", "Commands");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_positional() || option->get_type_name().empty()) return {};
    const std::string& type = option->get_type_name();
    const bool number = type == "INT" || type == "UINT" || type == "FLOAT";
    return (number ? " N" : " WORD") + std::string(option->get_expected_max() > 1 ? " .." : "");
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string& standard = option->get_default_str();
    const bool shown = !standard.empty() && standard != "[]" && standard != "\"\"";
    return option->get_description() + (shown ? " [" + standard + "]" : "");
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() { return std::make_shared<HelpFormat>(); }

std::string unknown_option(const CLI::App& command, const std::vector<std::string>& arguments,
                           const std::string& otherwise) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (!name.starts_with("--") || command.get_option_no_throw(name)) continue;
    return concat("slope ", command.get_name(), " has no option ", name, ". Did you mean ",
                  nearest(name, known), "? All of them: slope ", command.get_name(), " --help.");
  }
  return otherwise;
}

std::string repeated_option(const CLI::App& command, const std::vector<std::string>& arguments,
                            const std::string& otherwise) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional() || option->get_expected_max() != 1) continue;
    const std::string name = "--" + option->get_single_name();
    const auto times = std::count_if(arguments.begin(), arguments.end(), [&](const std::string& a) {
      return a.substr(0, a.find('=')) == name;
    });
    if (times > 1) return concat(name, " is given ", times, " times; give it once.");
  }
  return otherwise;
}

std::string unknown_command(const CLI::App& program, const std::string& word) {
  std::vector<std::string> names;
  std::string all;
  for (const CLI::App* command : program.get_subcommands({})) {
    names.push_back(command->get_name());
    all += (all.empty() ? "" : ", ") + names.back();
  }
  if (word.empty()) return concat("no command was given. Commands: ", all, "; see slope --help.");
  return concat("there is no command ", word, ". Did you mean ", nearest(word, names),
                "? Commands: ", all, ".");
}

}  // namespace slope::program
