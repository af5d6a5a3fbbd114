#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_line_parts.h"

namespace cellar::cli {
namespace {

template <typename T>
std::pair<CLI::App*, std::shared_ptr<T>> add_state_command(CLI::App& group, Raw& raw,
                                                           const std::string& name,
                                                           const std::string& help) {
  auto command = std::make_shared<T>();
  CLI::App* added = group.add_subcommand(name, help);
  added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
  add_cell_id(*added, command->cell_id);
  return {added, command};
}

}  // namespace

void add_checkpoint_commands(CLI::App& app, Raw& raw) {
  CLI::App* checkpoints = app.add_subcommand("checkpoints", "States of a cell that are kept");
  checkpoints->require_subcommand(1);
  checkpoints->fallthrough();
  const auto [create, to_create] = add_state_command<CheckpointCreate>(
      *checkpoints, raw, "create", "Keep its files, database and place in the journal");
  create->add_option("NAME", to_create->name, "A name that no other one of the cell has");
  create->add_option("-m,--message", to_create->message, "What it is");
  add_state_command<CheckpointList>(*checkpoints, raw, "ls", "List them, the newest first")
      .first->alias("list");
  const auto [remove, to_remove] =
      add_state_command<CheckpointRemove>(*checkpoints, raw, "rm", "Delete one");
  remove->add_option("CHECKPOINT", to_remove->checkpoint, "Its id or name")->required();

  const auto [diff, to_diff] = add_state_command<Diff>(
      app, raw, "diff", "Show what changed since a checkpoint, for git apply");
  diff->add_option("FROM", to_diff->from, "A checkpoint, by id or name (the newest)");
  diff->add_option("TO", to_diff->to, "Another one, or now (now)");
  diff->add_option("--path", to_diff->path, "Only what is there, or below");
  diff->add_flag("--names", to_diff->names, "Only which files, and how");
  diff->add_flag("-a,--all", to_diff->all, "What search leaves out, too");
}

}  // namespace cellar::cli
