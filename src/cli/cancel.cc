#include "cli/commands.h"

namespace cellar::cli {

int run(const Cancel& command, Context& context) {
  const std::string path = "/runs/" + encode_segment(command.run_id) + "/cancel";
  show(context.api.post(cell_path(command.cell_id, path)), context.output);
  return 0;
}

}  // namespace cellar::cli
