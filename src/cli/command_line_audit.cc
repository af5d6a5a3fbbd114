#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_line_parts.h"
#include "doctor/user.h"

namespace cellar::cli {

void add_audit_commands(CLI::App& app, Raw& raw) {
  CLI::App* audit = app.add_subcommand("audit", "The daemon's audit log, on this machine");
  audit->require_subcommand(1);
  audit->fallthrough();
  auto verify = std::make_shared<AuditVerify>();
  verify->state = doctor::default_state();
  CLI::App* sub = audit->add_subcommand("verify", "Tell whether lines were changed or removed");
  sub->add_option("--state", verify->state, "The daemon's state folder")->envname("CELLAR_STATE");
  sub->add_option("--expect", verify->expect, "NUMBER:HASH of an earlier verify: it must be there");
  sub->footer("Exit codes: 0 the chain is whole, 1 it is broken; the place is printed.");
  sub->callback([&raw, verify] { raw.command = [verify] { return Command(*verify); }; });
}

}  // namespace cellar::cli
