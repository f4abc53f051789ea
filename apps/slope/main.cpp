// The program: parses the command line, runs one command, prints errors as one line each.
#include <CLI/CLI.hpp>
#include <iostream>

#include "apps/slope/commands.h"
#include "backends/cpu/isa.h"
#include "core/error.h"

int main(int argc, char** argv) {
  using namespace slope::program;
  CLI::App app{
      "slope: neural ordinary differential equations, trained, tested under other solvers, and "
      "attacked",
      "slope"};
  app.require_subcommand(1);
  app.fallthrough();
  Settings settings;
  std::string config;
  app.set_version_flag("--version", [] {
    return slope::concat("slope ", SLOPE_VERSION, " (", __VERSION__, ", ",
                         slope::cpu::name(slope::cpu::isa()), ")");
  });

  const std::vector<Command> commands = {train_command(app, settings), eval_command(app, settings),
                                         attack_command(app, settings), info_command(app, settings),
                                         bench_command(app, settings)};
  for (const Command& command : commands) {
    add_settings(*command.options, settings);
    command.app->add_option("--config", config, "Options from a TOML file; the command line wins")
        ->group("Everywhere");
  }
  try {
    // The file comes before the command line, so that what is typed wins.
    for (int i = 1; i + 1 < argc; ++i) {
      if (std::string(argv[i]) != "--config") continue;
      for (const Command& command : commands) {
        for (int k = 1; k < i; ++k) {
          if (command.app->check_name(argv[k])) command.options->read_toml(argv[i + 1]);
        }
      }
    }
    app.parse(argc, argv);
    for (const Command& command : commands) {
      if (command.app->parsed()) return command.run();
    }
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  } catch (const slope::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
  }
  return 1;
}
