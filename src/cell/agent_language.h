#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::cell {

// What an agent is written in: it decides which program runs it.
enum class AgentLanguage : std::uint8_t { javascript, python };

// "javascript", "python".
std::string_view name_of(AgentLanguage language) noexcept;
// An empty name is JavaScript. Throws Error `invalid_argument`, naming the languages there are.
AgentLanguage parse_agent_language(std::string_view name);
// The end of the names of its files: ".js", ".py".
std::string_view extension_of(AgentLanguage language) noexcept;

}  // namespace cellar::cell
