#include "wire/agent_frame.h"

#include "base/bytes.h"
#include "base/error.h"

namespace cellar::wire {

std::optional<AgentFrameSizes> decode_agent_prefix(std::string_view prefix) noexcept {
  const AgentFrameSizes sizes{get_le<std::uint32_t>(prefix, 0), get_le<std::uint32_t>(prefix, 4)};
  if (sizes.header > kAgentHeaderMax || sizes.body > kAgentBodyMax) return std::nullopt;
  return sizes;
}

void begin_agent_frame(std::string& out, std::string_view header, std::size_t body_bytes,
                       std::size_t body_max) {
  if (header.size() > kAgentHeaderMax || body_bytes > body_max) {
    throw Error(ErrorCode::too_large, "a frame for the agent host has a header of " +
                                          std::to_string(header.size()) + " bytes and a body of " +
                                          std::to_string(body_bytes));
  }
  put_le(out, static_cast<std::uint32_t>(header.size()));
  put_le(out, static_cast<std::uint32_t>(body_bytes));
  out.append(header);
}

}  // namespace cellar::wire
