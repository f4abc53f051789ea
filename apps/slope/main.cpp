// The program: parses the command line, runs one command, prints errors as one line each.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <new>
#include <sstream>

#include "apps/slope/commands.h"
#include "apps/slope/help.h"
#include "apps/slope/output.h"
#include "backends/cpu/isa.h"
#include "core/error.h"

namespace {

using namespace slope::program;

// Options that every command has may stand before it: they are moved behind it.
std::vector<std::string> command_first(const std::vector<Command>& commands,
                                       std::vector<std::string> arguments) {
  size_t at = 0;
  while (at < arguments.size() && arguments[at].starts_with("--")) {
    const std::string& argument = arguments[at];
    const size_t sign = argument.find('=');
    const CLI::Option* option = commands[0].app->get_option_no_throw(argument.substr(0, sign));
    if (!option || option->get_group() != "Everywhere") return arguments;
    at += sign == std::string::npos && option->get_items_expected_max() > 0 ? 2 : 1;
  }
  if (at < arguments.size())
    std::rotate(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(at),
                arguments.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  return arguments;
}

// The exit status.
int run(const std::vector<std::string>& typed) {
  CLI::App app{
      "slope: neural ordinary differential equations, trained, tested under other solvers, and "
      "attacked",
      "slope"};
  app.formatter(help_format());
  app.require_subcommand(1);
  app.fallthrough();
  Settings settings;
  std::string config;
  app.set_version_flag("--version", [] {
    return slope::concat("slope ", SLOPE_VERSION, " (", __VERSION__, ", ",
                         slope::cpu::name(slope::cpu::isa()), ")");
  });

  const std::vector<Command> commands = {
      train_command(app, settings),    eval_command(app, settings),   attack_command(app, settings),
      predict_command(app, settings),  import_command(app, settings), export_command(app, settings),
      solve_command(app, settings),    info_command(app, settings),   bench_command(app, settings),
      reproduce_command(app, settings)};
  for (const Command& command : commands) {
    settings.dtype = command.dtype;  // what --help shows
    add_settings(*command.options, settings);
    command.app->add_option("--config", config, "Options from a TOML file; the command line wins")
        ->group("Everywhere");
  }
  const std::vector<std::string> arguments = command_first(commands, typed);
  const std::string word = arguments.empty() ? "" : arguments.front();
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& c) { return c.app->check_name(word); });
  if (command == commands.end() && !word.starts_with("-")) {
    std::cerr << "error: " << unknown_command(app, word) << "\n";
    return 2;
  }
  if (command != commands.end()) settings.dtype = command->dtype;
  try {
    // The file comes before the command line, so that what is typed wins.
    for (size_t i = 1; i < arguments.size() && command != commands.end(); ++i) {
      if (arguments[i].starts_with("--config="))
        command->options->read_toml(arguments[i].substr(9));
      if (arguments[i - 1] == "--config") command->options->read_toml(arguments[i]);
    }
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    settings.seed_given = command->options->given("seed");
    settings.dtype_given = command->options->given("dtype");
    return command->run();
  } catch (const CLI::ExtrasError& error) {
    std::cerr << "error: "
              << (command == commands.end()
                      ? error.what()
                      : unknown_option(*command->app, arguments, error.what()))
              << "\n";
    return 2;
  } catch (const CLI::ArgumentMismatch& error) {
    std::cerr << "error: "
              << (command == commands.end()
                      ? error.what()
                      : repeated_option(*command->app, arguments, error.what()))
              << "\n";
    return 2;
  } catch (const UsageError& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      std::ostringstream out;
      const int status = app.exit(error, out, std::cerr);
      print(out.str());
      return status;
    }
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory. Try a smaller --batch or --limit.\n";
  } catch (const slope::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
  }
  return 1;
}
