#include <CLI/CLI.hpp>
#include <memory>

#include "base/option_values.h"
#include "cli/command_line_parts.h"

namespace cellar::cli {

void add_secrets_command(CLI::App& app, Raw& raw) {
  auto secrets = std::make_shared<Secrets>();
  CLI::App* sub = app.add_subcommand("secrets", "Show a cell's secrets by name, or change one");
  add_cell_id(*sub, secrets->cell_id);
  sub->add_option("ACTION", secrets->action, "show; set one; rm one")
      ->check(one_of({"show", "set", "rm"}));
  sub->add_option("NAME", secrets->name,
                  "Of set NAME=VALUE, or NAME with your environment's value");
  add_repeated(*sub, "--host", secrets->hosts,
               "A HOST that it is put in for, over TLS; it never comes into the cell then");
  sub->add_option("--header", secrets->header, "Set this header with it in each request there");
  sub->add_flag("--shell", secrets->shell, "Commands may use it, too");
  sub->callback([&raw, secrets] {
    raw.command = [secrets]() -> Command {
      const bool is_set = secrets->action == "set";
      if ((secrets->action == "show") != secrets->name.empty()) {
        throw CLI::ValidationError("secrets " + secrets->action,
                                   secrets->name.empty() ? "needs a NAME" : "takes no more words");
      }
      const bool has_options =
          !secrets->hosts.empty() || !secrets->header.empty() || secrets->shell;
      if (has_options && !is_set) throw CLI::ValidationError("secrets", "options are for set only");
      if (has_options && secrets->hosts.empty()) {
        throw CLI::ValidationError("--host", "is needed for --header and --shell");
      }
      if (!is_set) return *secrets;
      const auto pairs = pairs_of({secrets->name}, "NAME", BareName::from_environment);
      Secrets set = *secrets;
      set.name = pairs.begin()->first;
      set.value = pairs.begin()->second;
      return set;
    };
  });
}

std::map<std::string, std::vector<std::string>> secret_hosts_of(const Raw& raw,
                                                                const Create& create) {
  std::map<std::string, std::vector<std::string>> hosts;
  for (const std::string& text : raw.secret_hosts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == text.npos || equals + 1 == text.size()) {
      throw CLI::ValidationError("--secret-host", "must be NAME=HOST");
    }
    if (!create.secrets.contains(name)) {
      throw CLI::ValidationError("--secret-host", "there is no --secret " + name);
    }
    hosts[name].push_back(text.substr(equals + 1));
  }
  return hosts;
}

}  // namespace cellar::cli
