#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {

void add_key_commands(CLI::App& app, Raw& raw) {
  CLI::App* keys = app.add_subcommand("keys", "Keys of the daemon's API");
  keys->require_subcommand(1);
  keys->fallthrough();
  keys->footer("They need a key with the scope admin.");
  auto create = std::make_shared<KeyCreate>();
  CLI::App* sub = keys->add_subcommand("create", "Make a key; its secret is shown this once");
  sub->add_option("NAME", create->name, "Your name for it")->required();
  sub->add_option("--owner", create->owner, "Whose cells it reaches; else those of your key");
  sub->add_option("--scope", create->scopes, "read, write (includes read), admin, metrics")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->required()
      ->check(one_of({"read", "write", "admin", "metrics"}));
  sub->add_option("--expires", raw.expires, "How long it holds: 90s, 15m, 1h, 30d; else for ever");
  sub->callback([&raw, create] {
    raw.command = [&raw, create]() -> Command {
      create->expires_in_s = expiry_of(raw);
      return *create;
    };
  });
  sub = keys->add_subcommand("ls", "List the keys of all owners");
  sub->callback([&raw] { raw.command = [] { return Command(KeyList{}); }; });
  auto remove = std::make_shared<KeyRemove>();
  sub = keys->add_subcommand("rm", "End a key at once");
  sub->add_option("KEY", remove->id, "Its id, as ls has it")->required();
  sub->callback([&raw, remove] { raw.command = [remove] { return Command(*remove); }; });

  CLI::App* reload = app.add_subcommand("reload", "Let the daemon read its --config file again");
  reload->footer("It needs a key with the scope admin.");
  reload->callback([&raw] { raw.command = [] { return Command(Reload{}); }; });
}

}  // namespace cellar::cli
