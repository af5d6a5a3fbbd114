#include "base/error.h"
#include "cli/commands.h"

namespace cellar::cli {

int run(const Runs& command, Context& context) {
  Output& output = context.output;
  std::string path = cell_path(command.cell_id, "/runs");
  if (command.limit) path += "?limit=" + std::to_string(*command.limit);
  const json::Value answer = context.api.get(path);
  if (output.format() == Format::json) {
    output.json(answer);
    return 0;
  }
  const json::Value* runs = answer.find("runs");
  if (runs == nullptr || !runs->is_array()) {
    throw Error(ErrorCode::internal, "the daemon's answer holds no runs");
  }
  std::vector<Row> rows;
  for (const json::Value& run : runs->as_array()) {
    const std::string reason = column(run, "reason");
    rows.push_back({column(run, "id"), column(run, "method"),
                    column(run, "status") + (reason.empty() ? "" : " (" + reason + ")"),
                    column(run, "steps_done"), column(run, "attempt"), column(run, "started_at"),
                    column(run, "ended_at")});
  }
  output.write(format_table({"RUN", "METHOD", "STATUS", "STEPS", "ATTEMPT", "STARTED", "ENDED"},
                            rows, output.look()));
  return 0;
}

}  // namespace cellar::cli
