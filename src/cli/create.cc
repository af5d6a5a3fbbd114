#include "base/error.h"
#include "cli/commands.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kAgentBytesMax = 4 << 20;

json::Value body_of(const Create& command) {
  json::Object body;
  body.set("customer_id", command.customer_id);
  if (!command.agent_file.empty()) {
    body.set("agent", read_agent(command.agent_file));
    if (command.agent_file.ends_with(".py")) body.set("agent_language", "python");
  }
  if (!command.tier.empty()) body.set("tier", command.tier);
  if (!command.image.empty()) body.set("image", command.image);
  if (!command.runtime.empty()) body.set("runtime", command.runtime);
  if (command.permanent) body.set("permanent", true);
  if (command.idle_timeout_s) body.set("idle_timeout_s", *command.idle_timeout_s);
  if (command.max_awake_s) body.set("max_awake_s", *command.max_awake_s);
  if (command.run_retention_s) body.set("run_retention_s", *command.run_retention_s);
  if (!command.secrets.empty()) {
    json::Object secrets;
    for (const auto& [name, value] : command.secrets) secrets.set(name, value);
    body.set("secrets", std::move(secrets));
  }
  if (!command.allow.empty()) {
    body.set("allow", json::Array(command.allow.begin(), command.allow.end()));
  }
  return body;
}

}  // namespace

std::string read_agent(const std::string& file) {
  auto source = sys::read_file(file, kAgentBytesMax);
  if (!source) throw Error(ErrorCode::not_found, "no such file: " + file);
  return *std::move(source);
}

int run(const Create& command, Context& context) {
  show(context.api.post("/api/v1/cells", body_of(command)), context.output);
  return 0;
}

}  // namespace cellar::cli
