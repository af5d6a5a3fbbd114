#include "cli/commands.h"

namespace cellar::cli {

int run(const Resume& command, Context& context) {
  show(context.api.post(cell_path(command.cell_id, "/resume")), context.output);
  return 0;
}

}  // namespace cellar::cli
