#include "cli/commands.h"

namespace cellar::cli {
namespace {

// What is in an object of `object` becomes a member under both names, as the guide speaks of it:
// "limits.pids".
void add_flat(const std::string& before, const json::Value& object, json::Object& into) {
  for (const auto& [name, value] : object.as_object()) {
    const std::string path = before + std::string(name);
    if (value.is_object() && !value.as_object().empty()) {
      add_flat(path + ".", value, into);
    } else {
      into.set(path, value);
    }
  }
}

}  // namespace

void show(const json::Value& object, Output& output) {
  if (output.format() == Format::json || !object.is_object()) {
    output.json(object);
  } else {
    json::Object flat;
    add_flat("", object, flat);
    output.write(format_record(flat, output.look()));
  }
}

int run(const Get& command, Context& context) {
  show(context.api.get(cell_path(command.cell_id)), context.output);
  return 0;
}

}  // namespace cellar::cli
