#include "cell/agent_language.h"

#include <string>

#include "base/error.h"

namespace cellar::cell {

std::string_view name_of(AgentLanguage language) noexcept {
  return language == AgentLanguage::python ? "python" : "javascript";
}

AgentLanguage parse_agent_language(std::string_view name) {
  if (name.empty() || name == "javascript") return AgentLanguage::javascript;
  if (name == "python") return AgentLanguage::python;
  throw Error(
      ErrorCode::invalid_argument, "invalid_agent_language",
      "\"agent_language\" must be javascript or python, it is \"" + std::string(name) + "\"");
}

std::string_view extension_of(AgentLanguage language) noexcept {
  return language == AgentLanguage::python ? ".py" : ".js";
}

}  // namespace cellar::cell
