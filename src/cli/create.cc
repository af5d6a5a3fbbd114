#include "cli/agent_file.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

json::Value body_of(const Create& command) {
  json::Object body;
  if (command.agent_file.empty()) {
    body.set("customer_id", command.customer_id);
  } else {
    const std::string file = find_agent(command.agent_file);
    body = agent_settings(command.customer_id, read_agent(file), file);
  }
  if (!command.tier.empty()) body.set("tier", command.tier);
  if (!command.image.empty()) body.set("image", command.image);
  if (!command.runtime.empty()) body.set("runtime", command.runtime);
  if (command.permanent) body.set("permanent", true);
  if (command.idle_timeout_s) body.set("idle_timeout_s", *command.idle_timeout_s);
  if (command.max_awake_s) body.set("max_awake_s", *command.max_awake_s);
  if (command.file_events) body.set("file_events", *command.file_events);
  if (command.run_retention_s) body.set("run_retention_s", *command.run_retention_s);
  if (!command.secrets.empty()) {
    json::Object secrets;
    for (const auto& [name, value] : command.secrets) {
      const auto hosts = command.secret_hosts.find(name);
      if (hosts == command.secret_hosts.end()) {
        secrets.set(name, value);
        continue;
      }
      json::Array list(hosts->second.begin(), hosts->second.end());
      secrets.set(name, json::object({{"value", value}, {"hosts", std::move(list)}}));
    }
    body.set("secrets", std::move(secrets));
  }
  if (!command.allow.empty()) {
    body.set("allow", json::Array(command.allow.begin(), command.allow.end()));
  }
  return body;
}

}  // namespace

int run(const Create& command, Context& context) {
  show(context.api.post("/api/v1/cells", body_of(command)), context.output);
  return 0;
}

}  // namespace cellar::cli
