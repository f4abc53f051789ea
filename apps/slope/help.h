// How --help looks, and what is said about a command line that does not parse.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

namespace slope::program {

// To be given to the program before its commands are added: they inherit it.
std::shared_ptr<CLI::FormatterBase> help_format();

// The first of the arguments that is no option of the command, and the nearest that is; `otherwise`
// when all are.
std::string unknown_option(const CLI::App& command, const std::vector<std::string>& arguments,
                           const std::string& otherwise);
// Says which option was given more often than it may be; `otherwise` when none was.
std::string repeated_option(const CLI::App& command, const std::vector<std::string>& arguments,
                            const std::string& otherwise);
// word: what was typed in place of a command; may be empty.
std::string unknown_command(const CLI::App& program, const std::string& word);

}  // namespace slope::program
