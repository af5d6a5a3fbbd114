#include "cli/commands.h"

namespace cellar::cli {
namespace {

// What the cell had running and has no more.
void note_lost(const json::Value& cell, Output& output) {
  const json::Value* resume = cell.find("resume");
  const json::Value* processes = resume == nullptr ? nullptr : resume->find("processes");
  const json::Value* lost = processes == nullptr ? nullptr : processes->find("lost");
  if (lost == nullptr || !lost->is_array()) return;
  for (const json::Value& program : lost->as_array()) {
    output.note("lost: " + column(program, "command") + " (" + column(program, "domain") + " " +
                column(program, "pid") + "): " + column(program, "lost_by"));
  }
}

}  // namespace

int run(const Resume& command, Context& context) {
  const json::Value cell = context.api.post(cell_path(command.cell_id, "/resume"));
  show(cell, context.output);
  if (context.output.format() == Format::text) note_lost(cell, context.output);
  return 0;
}

}  // namespace cellar::cli
