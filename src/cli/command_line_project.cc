#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_line_parts.h"

namespace cellar::cli {

void add_project_commands(CLI::App& app, Raw& raw) {
  const auto init = std::make_shared<Init>();
  CLI::App* sub = app.add_subcommand("init", "Make a folder with a small agent to begin with");
  sub->add_option("FOLDER", init->folder, "Where; left out: here")->check(refuse_nothing, "");
  sub->callback([&raw, init] { raw.command = [init] { return Command(*init); }; });

  const auto deploy = std::make_shared<Deploy>();
  sub = app.add_subcommand("deploy", "Give an agent to cells: deploy PATH ID...");
  sub->add_option("PATH", deploy->path, "The agent's file, or its folder")->required();
  sub->add_option("ID", deploy->cell_ids, "The cells")->check(refuse_nothing, "");
  sub->add_flag("--all", deploy->all, "All cells that have an agent");
  sub->footer("Runs that are under way stay with the version that they began with.");
  sub->callback([&raw, deploy] {
    if (deploy->all == !deploy->cell_ids.empty()) {
      throw CLI::ValidationError("deploy",
                                 "needs the ids of cells, or --all for those with an agent");
    }
    raw.command = [deploy] { return Command(*deploy); };
  });

  const auto dev = std::make_shared<Dev>();
  sub = app.add_subcommand("dev", "Give an agent to a cell at each change, and show events");
  sub->add_option("PATH", dev->path, "The agent's file, or its folder; left out: here");
  sub->add_option("--customer", dev->customer_id, "Whose cell; made where there is none (dev)");
  sub->footer("Its secrets and what it may reach: cellar create CUSTOMER --secret … --allow …");
  sub->callback([&raw, dev] { raw.command = [dev] { return Command(*dev); }; });
}

}  // namespace cellar::cli
