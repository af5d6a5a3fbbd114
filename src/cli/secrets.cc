#include "base/error.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

void show_secrets(const json::Value& answer, Output& output) {
  if (output.format() == Format::json) return output.json(answer);
  const json::Value* list = answer.find("secrets");
  if (list == nullptr || !list->is_array()) {
    throw Error(ErrorCode::internal, "bad_answer", "the daemon's answer holds no secrets");
  }
  std::vector<Row> rows;
  for (const json::Value& secret : list->as_array()) {
    std::string hosts;
    if (const json::Value* all = secret.find("hosts")) {
      for (const json::Value& host : all->as_array()) {
        hosts += (hosts.empty() ? "" : " ") + host.as_string();
      }
    }
    rows.push_back(
        {column(secret, "name"), hosts, column(secret, "header"), column(secret, "shell")});
  }
  output.write(format_table({"SECRET", "HOSTS", "HEADER", "SHELL"}, rows, output.look()));
}

}  // namespace

int run(const Secrets& command, Context& context) {
  const std::string path = cell_path(command.cell_id, "/secrets");
  if (command.action == "show") {
    show_secrets(context.api.get(path), context.output);
    return 0;
  }
  const std::string one = path + "/" + encode_segment(command.name);
  if (command.action == "rm") {
    context.api.remove(one);
    return 0;
  }
  json::Value secret = json::object({{"value", command.value}});
  json::Object& members = secret.as_object();
  if (!command.hosts.empty()) {
    members.set("hosts", json::Array(command.hosts.begin(), command.hosts.end()));
  }
  if (!command.header.empty()) members.set("header", command.header);
  if (command.shell) members.set("shell", true);
  show(context.api.put(one, secret), context.output);
  return 0;
}

}  // namespace cellar::cli
