#include "wire/agent_frame.h"

#include "base/bytes.h"
#include "base/error.h"

namespace cellar::wire {

std::optional<AgentFrameSizes> decode_agent_prefix(std::string_view prefix) noexcept {
  const AgentFrameSizes sizes{get_le<std::uint32_t>(prefix, 0), get_le<std::uint32_t>(prefix, 4)};
  if (sizes.header > kAgentHeaderMax || sizes.body > kAgentBodyMax) return std::nullopt;
  return sizes;
}

std::string encode_agent_frame(std::string_view header, std::string_view body) {
  if (header.size() > kAgentHeaderMax || body.size() > kAgentBodyMax) {
    throw Error(ErrorCode::too_large, "a frame for the agent host has a header of " +
                                          std::to_string(header.size()) + " bytes and a body of " +
                                          std::to_string(body.size()));
  }
  std::string frame;
  frame.reserve(kAgentPrefixBytes + header.size() + body.size());
  put_le(frame, static_cast<std::uint32_t>(header.size()));
  put_le(frame, static_cast<std::uint32_t>(body.size()));
  frame.append(header).append(body);
  return frame;
}

}  // namespace cellar::wire
