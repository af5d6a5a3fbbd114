#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kAgentBytesMax = 4 << 20;
constexpr std::array<std::string_view, 4> kEndings = {".js", ".mjs", ".cjs", ".py"};

json::Value body_of(const Create& command) {
  json::Object body;
  if (command.agent_file.empty()) {
    body.set("customer_id", command.customer_id);
  } else {
    body = agent_settings(command.customer_id, read_agent(command.agent_file), command.agent_file);
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

std::string read_agent(const std::string& file) {
  auto source = sys::read_file(file, kAgentBytesMax);
  if (!source) throw Error(ErrorCode::not_found, "no such file: " + file);
  const std::string ending = std::filesystem::path(file).extension();
  const bool is_known = std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
  if (!is_known && !ending.empty()) {  // A pipe has none.
    throw Error(ErrorCode::invalid_argument, "usage",
                file + " is no agent: one ends in .js, .mjs, .cjs or .py",
                "a bundler makes one file of TypeScript and of many: docs/guide/agents.md");
  }
  if (!is_valid_utf8(*source)) {
    throw Error(ErrorCode::invalid_argument, "usage", file + " is not UTF-8 text",
                "write it down as UTF-8: \"iconv -f latin1 -t utf-8\" does, where it is Latin-1");
  }
  return *std::move(source);
}

json::Object agent_settings(const std::string& customer_id, const std::string& source,
                            const std::string& file) {
  json::Object settings;
  settings.set("customer_id", customer_id);
  settings.set("agent", source);
  const std::string language = agent_language_of(file);
  if (language == "python") settings.set("agent_language", language);
  return settings;
}

std::string agent_language_of(const std::string& file) {
  const std::string ending = std::filesystem::path(file).extension();
  return ending == ".py" ? "python" : ending.empty() ? "" : "javascript";
}

int run(const Create& command, Context& context) {
  show(context.api.post("/api/v1/cells", body_of(command)), context.output);
  return 0;
}

}  // namespace cellar::cli
