#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {
namespace {

void add_process(CLI::App& app, ProcessRef& into) {
  add_cell_id(app, into.cell_id);
  app.add_option("PROCESS", into.process_id, "Its id, such as p3")->required();
}

template <typename T>
CLI::App* add(CLI::App& app, Raw& raw, const std::string& name, const std::string& help,
              const std::shared_ptr<T>& command) {
  CLI::App* added = app.add_subcommand(name, help);
  added->callback([&raw, command] { raw.command = [command] { return Command(*command); }; });
  return added;
}

}  // namespace

void add_process_commands(CLI::App& app, Raw& raw) {
  const auto start = std::make_shared<ProcessStart>();
  CLI::App* sub = app.add_subcommand("start", "Start a command in the background, print its id");
  add_surroundings(*sub, raw, *start);
  add_timeout(*sub, *start, "Seconds until it is killed (none)");
  sub->add_flag("-i,--stdin", start->takes_input, "It reads what `cellar input` sends");
  sub->add_flag("-t,--terminal", start->has_terminal, "It has a terminal, for `cellar attach`");
  sub->footer("start ID -- CMD...: one word after -- is a line for the shell, more are a program.");
  sub->callback([&raw, start] {
    raw.command = [&raw, start]() -> Command {
      start->env = pairs_of(raw.env, "--env", BareName::refuse);
      return *start;
    };
  });

  const auto list = std::make_shared<ProcessList>();
  add_cell_id(*add(app, raw, "ps", "List the commands in the background", list), list->cell_id);

  const auto log = std::make_shared<ProcessLog>();
  sub = add(app, raw, "logs", "Show what a command in the background wrote", log);
  add_process(*sub, log->process);
  sub->add_flag("-f,--follow", log->follow, "Go on until it ends, with its exit code");
  sub->add_option("--after", log->after, "Leave out the first so many bytes that it wrote")
      ->check(whole_number(0));

  const auto input = std::make_shared<ProcessInput>();
  sub = add(app, raw, "input", "Send standard input to a command in the background", input);
  add_process(*sub, input->process);

  const auto kill = std::make_shared<ProcessKill>();
  sub = add(app, raw, "kill", "Send a signal to a command in the background", kill);
  add_process(*sub, kill->process);
  sub->add_option("-s,--signal", kill->signal, "Its name or number (TERM)");

  const auto attach = std::make_shared<Attach>();
  sub = add(app, raw, "attach", "Use a command in the background from this terminal", attach);
  add_process(*sub, attach->process);
  sub->footer("Ctrl+] leaves it, and it goes on.");

  const auto shell = std::make_shared<Shell>();
  sub = app.add_subcommand("sh", "Open a shell in a cell, or a command: sh ID [-- CMD...]");
  add_surroundings(*sub, raw, shell->start);
  sub->footer("Ctrl+] leaves it, and it goes on: `cellar ps`, `cellar attach`.");
  sub->callback([&raw, shell] {
    raw.command = [&raw, shell]() -> Command {
      shell->start.env = pairs_of(raw.env, "--env", BareName::refuse);
      return *shell;
    };
  });
}

}  // namespace cellar::cli
