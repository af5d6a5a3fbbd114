#include "cli/agent_file.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kAgentBytesMax = 4 << 20;
constexpr std::array<std::string_view, 4> kEndings = {".js", ".mjs", ".cjs", ".py"};

}  // namespace

std::string find_agent(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return path;
  std::string found;
  for (const std::string_view ending : kEndings) {
    const std::string file = path + "/agent" + std::string(ending);
    if (!sys::exists(file)) continue;
    if (!found.empty()) {
      throw Error(ErrorCode::invalid_argument, "usage",
                  "there are two agents: " + found + " and " + file, "name the one that is meant");
    }
    found = file;
  }
  if (found.empty()) {
    throw Error(ErrorCode::not_found, "agent_missing", "no agent.js and no agent.py in " + path,
                "\"cellar init\" makes one; or name its file");
  }
  return found;
}

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

}  // namespace cellar::cli
