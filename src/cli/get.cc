#include "cli/commands.h"

namespace cellar::cli {

void show(const json::Value& object, Output& output) {
  if (output.format() == Format::json || !object.is_object()) {
    output.json(object);
  } else {
    output.write(format_record(object, output.look()));
  }
}

int run(const Get& command, Context& context) {
  show(context.api.get(cell_path(command.cell_id)), context.output);
  return 0;
}

}  // namespace cellar::cli
