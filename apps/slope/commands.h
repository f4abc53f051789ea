// The commands of the program. Each adds its options to its subcommand and returns what runs it:
// the exit status.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/slope/settings.h"

namespace slope::program {

struct Command {
  CLI::App* app = nullptr;
  std::shared_ptr<OptionList> options;
  std::function<int()> run;
  std::string dtype = "float32";  // unless --dtype says otherwise
};

Command train_command(CLI::App& program, Settings& settings);
Command eval_command(CLI::App& program, Settings& settings);
Command attack_command(CLI::App& program, Settings& settings);
Command predict_command(CLI::App& program, Settings& settings);
Command import_command(CLI::App& program, Settings& settings);
Command export_command(CLI::App& program, Settings& settings);
Command solve_command(CLI::App& program, Settings& settings);
Command info_command(CLI::App& program, Settings& settings);
Command bench_command(CLI::App& program, Settings& settings);
Command reproduce_command(CLI::App& program, Settings& settings);

}  // namespace slope::program
