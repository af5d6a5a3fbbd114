#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command_line.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

// What the command_line*.cc share, and nobody else sees.
namespace cellar::cli {

// What CLI11 fills in before it becomes a CommandLine.
struct Raw {
  std::string format = "text";
  std::vector<std::string> secrets;
  std::vector<std::string> secret_hosts;
  std::vector<std::string> env;
  std::string expires;
  std::function<Command()> command;
};

// "K=V" pairs. With `from_environment` a bare "K" takes its value from there. Throws CLI11's error.
enum class BareName { refuse, from_environment };
std::map<std::string, std::string> pairs_of(const std::vector<std::string>& texts,
                                            const std::string& option, BareName bare);

// An option that may be given many times, one value each, whatever characters are in it.
void add_repeated(CLI::App& app, const std::string& name, std::vector<std::string>& into,
                  const std::string& help);

// A check of CLI11's: what is wrong with a text that must have something in it, or nothing.
std::string refuse_nothing(const std::string& text);

// The first word of most subcommands.
CLI::Option* add_cell_id(CLI::App& app, std::string& into);

// What a program runs in, and the cell: ID, --cwd, --env. `raw.env` becomes `program.env` later.
void add_surroundings(CLI::App& app, Raw& raw, ProgramToRun& program);
void add_timeout(CLI::App& app, ProgramToRun& program, const std::string& help);

// What --expires says; nullopt without it. Throws CLI11's error. In command_line_preview.cc.
std::optional<std::int64_t> expiry_of(const Raw& raw);

// In command_line_preview.cc. `url` is the daemon's address, once all is read.
void add_preview_command(CLI::App& app, Raw& raw, const std::string& url);

// In command_line_secrets.cc.
void add_secrets_command(CLI::App& app, Raw& raw);
void add_llm_commands(CLI::App& app, Raw& raw);
// The hosts of secrets that create makes, "NAME=HOST" each. Throws CLI11's error.
std::map<std::string, std::vector<std::string>> secret_hosts_of(const Raw& raw,
                                                                const Create& create);

// `keys`. In command_line_keys.cc.
void add_key_commands(CLI::App& app, Raw& raw);
// `audit`. In command_line_audit.cc.
void add_audit_commands(CLI::App& app, Raw& raw);
// `runs`, and the short ways to two of its subcommands. In command_line_runs.cc.
void add_run_commands(CLI::App& app, Raw& raw);
// `start`, `ps`, `logs`, `input`, `kill`, `attach`, `sh`. In command_line_processes.cc.
void add_process_commands(CLI::App& app, Raw& raw);
// `checkpoints` and `diff`. In command_line_checkpoints.cc.
void add_checkpoint_commands(CLI::App& app, Raw& raw);
// `files`. In command_line_files.cc.
void add_file_commands(CLI::App& app, Raw& raw);

// `init`, `deploy`, `dev`. In command_line_project.cc.
void add_project_commands(CLI::App& app, Raw& raw);

// `completion`, and `complete`, which shells ask. In command_line_completion.cc, as:
void add_completion_commands(CLI::App& app, Raw& raw);
// Those that somebody types.
std::vector<const CLI::App*> commands_in(const CLI::App& app);
// What may stand in the place of the last one of the words behind "cellar".
Complete complete_words(const CLI::App& app, std::vector<std::string> words);

}  // namespace cellar::cli
