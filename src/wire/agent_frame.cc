#include "wire/agent_frame.h"

#include "base/bytes.h"
#include "base/check.h"

namespace cellar::wire {

std::optional<AgentFrameSizes> decode_agent_prefix(std::string_view prefix) noexcept {
  const AgentFrameSizes sizes{get_le<std::uint32_t>(prefix, 0), get_le<std::uint32_t>(prefix, 4)};
  if (sizes.header > kAgentHeaderMax || sizes.body > kAgentBodyMax) return std::nullopt;
  return sizes;
}

std::string encode_agent_frame(std::string_view header, std::string_view body) {
  CELLAR_CHECK(header.size() <= kAgentHeaderMax && body.size() <= kAgentBodyMax);
  std::string frame;
  frame.reserve(kAgentPrefixBytes + header.size() + body.size());
  put_le(frame, static_cast<std::uint32_t>(header.size()));
  put_le(frame, static_cast<std::uint32_t>(body.size()));
  frame.append(header).append(body);
  return frame;
}

}  // namespace cellar::wire
