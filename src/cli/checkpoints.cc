#include "base/text.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

std::string checkpoints_path(const std::string& cell_id, std::string_view rest = {}) {
  return cell_path(cell_id, "/checkpoints" + std::string(rest));
}

std::string diff_path(const Diff& diff, std::string_view format) {
  std::string query = "format=" + std::string(format);
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) query += "&" + std::string(name) + "=" + encode_segment(value);
  };
  add("from", diff.from);
  add("to", diff.to);
  add("path", diff.path);
  if (diff.all) query += "&all=1";
  if (diff.names) query += "&names=1";
  return cell_path(diff.cell_id, "/diff?" + query);
}

// As git colours it; nothing of the patch itself reaches a terminal but what can be printed.
std::string coloured(std::string_view line) {
  const bool is_head = line.starts_with("diff ") || line.starts_with("--- ") ||
                       line.starts_with("+++ ") || line.starts_with("#");
  const std::string_view colour = is_head                  ? "\x1b[1m"
                                  : line.starts_with("@@") ? "\x1b[36m"
                                  : line.starts_with("+")  ? "\x1b[32m"
                                  : line.starts_with("-")  ? "\x1b[31m"
                                                           : "";
  const std::string text = printable(line, Lines::keep);
  return colour.empty() ? text : std::string(colour) + text + "\x1b[0m";
}

void show_patch(const std::string& patch, Output& output) {
  if (output.look() == Look::plain) {
    output.write(patch);
    return;
  }
  std::string text;
  for (const std::string_view line : split(patch, '\n')) text += coloured(line) + "\n";
  text.pop_back();  // Behind the last line end there is no line.
  output.write(text);
}

void show_names(const json::Value& answer, Output& output) {
  std::vector<Row> rows;
  for (const json::Value& change : answer.find("changes")->as_array()) {
    std::string path = column(change, "path");
    if (column(change, "change") == "renamed") {
      path = column(*change.find("before"), "path") + " -> " + path;
    }
    rows.push_back({column(change, "change"), path});
  }
  output.text(format_table({"CHANGE", "PATH"}, rows, output.look()));
  const std::string truncated_by = column(answer, "truncated_by");
  if (!truncated_by.empty()) output.note("there is more: cut off by " + truncated_by);
}

}  // namespace

int run(const CheckpointCreate& command, Context& context) {
  json::Value body = json::object({});
  if (!command.name.empty()) body.as_object().set("name", command.name);
  if (!command.message.empty()) body.as_object().set("message", command.message);
  show(context.api.post(checkpoints_path(command.cell_id), body), context.output);
  return 0;
}

int run(const CheckpointList& command, Context& context) {
  // The daemon keeps no more of a cell than it gives at once.
  const json::Value answer = context.api.get(checkpoints_path(command.cell_id));
  if (context.output.format() == Format::json) {
    context.output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& one : answer.find("checkpoints")->as_array()) {
    const std::string damage = column(one, "damaged");
    rows.push_back({column(one, "id"), column(one, "name"), column(one, "created_at"),
                    column(one, "files"), column(one, "bytes"),
                    damage.empty() ? column(one, "message") : "damaged: " + damage});
  }
  const Row heading = {"CHECKPOINT", "NAME", "CREATED", "FILES", "BYTES", "MESSAGE"};
  context.output.text(format_table(heading, rows, context.output.look()));
  return 0;
}

int run(const CheckpointRemove& command, Context& context) {
  context.api.remove(checkpoints_path(command.cell_id, "/" + encode_segment(command.checkpoint)));
  return 0;
}

int run(const Diff& command, Context& context) {
  const bool is_json = context.output.format() == Format::json;
  if (is_json || command.names) {
    const json::Value answer = context.api.get(diff_path(command, "json"));
    if (is_json) {
      context.output.json(answer);
    } else {
      show_names(answer, context.output);
    }
    return 0;
  }
  Request request;
  request.path = diff_path(command, "patch");
  show_patch(context.api.send(request).body, context.output);
  return 0;
}

}  // namespace cellar::cli
