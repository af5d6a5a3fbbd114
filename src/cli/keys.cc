#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr const char* kKeysPath = "/api/v1/keys";

std::string scopes_of(const json::Value& key) {
  std::string scopes;
  const json::Value* list = key.find("scopes");
  if (list == nullptr || !list->is_array()) return scopes;
  for (const json::Value& scope : list->as_array()) {
    scopes += (scopes.empty() ? "" : ",") + format_value(scope);
  }
  return scopes;
}

}  // namespace

int run(const KeyCreate& command, Context& context) {
  json::Array scopes;
  for (const std::string& scope : command.scopes) scopes.emplace_back(scope);
  json::Value body = json::object({{"name", command.name}, {"scopes", std::move(scopes)}});
  if (!command.owner.empty()) body.as_object().set("owner", command.owner);
  if (command.expires_in_s) body.as_object().set("expires_in_s", *command.expires_in_s);
  show(context.api.post(kKeysPath, body), context.output);
  return 0;
}

int run(const KeyList&, Context& context) {
  const json::Value answer = context.api.get(kKeysPath);
  if (context.output.format() == Format::json) {
    context.output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& key : answer.find("keys")->as_array()) {
    rows.push_back({column(key, "id"), column(key, "owner"), column(key, "name"), scopes_of(key),
                    column(key, "created_at"), column(key, "expires_at"),
                    column(key, "last_used_at")});
  }
  const Row heading = {"KEY", "OWNER", "NAME", "SCOPES", "CREATED", "EXPIRES", "USED"};
  context.output.text(format_table(heading, rows, context.output.look()));
  return 0;
}

int run(const KeyRemove& command, Context& context) {
  context.api.remove(std::string(kKeysPath) + "/" + encode_segment(command.id));
  return 0;
}

int run(const Reload&, Context& context) {
  const json::Value answer = context.api.post("/api/v1/reload");
  if (context.output.format() == Format::json) {
    context.output.json(answer);
    return 0;
  }
  std::vector<Row> rows;
  for (const char* when : {"taken", "needs_restart"}) {
    for (const json::Value& name : answer.find(when)->as_array()) {
      rows.push_back({format_value(name), when});
    }
  }
  context.output.text(format_table({"SETTING", "IS"}, rows, context.output.look()));
  return 0;
}

}  // namespace cellar::cli
