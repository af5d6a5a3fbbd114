#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace CLI {
class App;
}  // namespace CLI

// What command_line.cc and command_line_runs.cc share, and nobody else sees.
namespace cellar::cli {

// What CLI11 fills in before it becomes a CommandLine.
struct Raw {
  std::string format = "text";
  std::vector<std::string> secrets;
  std::vector<std::string> env;
  std::function<Command()> command;
};

// The first word of most subcommands.
void add_cell_id(CLI::App& app, std::string& into);

// `runs`, and the short ways to two of its subcommands. In command_line_runs.cc.
void add_run_commands(CLI::App& app, Raw& raw);

}  // namespace cellar::cli
