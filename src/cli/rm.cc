#include "cli/commands.h"

namespace cellar::cli {

int run(const Remove& command, Context& context) {
  context.api.remove(cell_path(command.cell_id));
  if (context.output.format() == Format::json) context.output.json(json::object({{"ok", true}}));
  return 0;
}

}  // namespace cellar::cli
