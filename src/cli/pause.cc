#include "cli/commands.h"

namespace cellar::cli {

int run(const Pause& command, Context& context) {
  show(context.api.post(cell_path(command.cell_id, "/pause")), context.output);
  return 0;
}

int run(const Hibernate& command, Context& context) {
  show(context.api.post(cell_path(command.cell_id, "/hibernate")), context.output);
  return 0;
}

int run(const KeepAlive& command, Context& context) {
  const json::Value body = json::object({{"seconds", command.seconds}});
  show(context.api.post(cell_path(command.cell_id, "/keep-alive"), body), context.output);
  return 0;
}

int run(const WakeAt& command, Context& context) {
  const json::Value at = command.at == "never" ? json::Value() : json::Value(command.at);
  show(context.api.post(cell_path(command.cell_id, "/wake-at"), json::object({{"at", at}})),
       context.output);
  return 0;
}

}  // namespace cellar::cli
