#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {

void add_llm_commands(CLI::App& app, Raw& raw) {
  auto usage = std::make_shared<CellUsage>();
  CLI::App* sub = app.add_subcommand("usage", "What a cell has used: tokens, network, processor");
  add_cell_id(*sub, usage->cell_id);
  sub->callback([&raw, usage] { raw.command = [usage] { return Command(*usage); }; });

  auto llm = std::make_shared<Llm>();
  sub = app.add_subcommand("llm", "Show what a cell may ask of models, or change it at once");
  add_cell_id(*sub, llm->cell_id);
  sub->add_option("ACTION", llm->action, "show; on, with the --budget that is given here; off")
      ->check(one_of({"show", "on", "off"}));
  constexpr std::int64_t kTokensMax = 1'000'000'000'000'000;
  sub->add_option("--budget", llm->budget, "TOKENS of input and output; implies on")
      ->check(whole_number(0, kTokensMax));
  sub->add_option("--per", llm->per, "Whose budget it is: the cell's, or each run's")
      ->check(one_of({"cell", "run"}));
  sub->footer("Without a budget of its own a cell has the daemon's, where there is one.");
  sub->callback([&raw, llm, sub] {
    raw.command = [llm, sub]() -> Command {
      const bool says_action = sub->get_option("ACTION")->count() > 0;
      if (llm->budget && !says_action) llm->action = "on";
      if (llm->budget && llm->action != "on") {
        throw CLI::ValidationError("--budget", "is for \"on\" only");
      }
      if (!llm->budget && sub->get_option("--per")->count() > 0) {
        throw CLI::ValidationError("--per", "says whose --budget it is, and there is none");
      }
      return *llm;
    };
  });
}

}  // namespace cellar::cli
