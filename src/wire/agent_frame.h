#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Frames between the daemon and the agent host (docs/internals/agent-protocol.md).
//
//   offset  size  field
//   0       4     header size H, little endian
//   4       4     body size B
//   8       H     header: one JSON object, its `t` says what the frame is
//   8+H     B     body: JSON text or the bytes that the header describes
namespace cellar::wire {

inline constexpr std::size_t kAgentPrefixBytes = 8;
inline constexpr std::size_t kAgentHeaderMax = 64 << 20;
inline constexpr std::size_t kAgentBodyMax = 256 << 20;
// What a run has recorded, for the host alone: Node.js has no larger buffers than 4 GiB.
inline constexpr std::size_t kAgentImageMax = std::size_t{2} << 30;

struct AgentFrameSizes {
  std::size_t header = 0;
  std::size_t body = 0;
};

// nullopt where a size is above its limit: the other side is broken or hostile. `prefix` has
// kAgentPrefixBytes bytes.
std::optional<AgentFrameSizes> decode_agent_prefix(std::string_view prefix) noexcept;

// Appends all of a frame but its body. Throws Error `too_large` where a size is above its limit.
void begin_agent_frame(std::string& out, std::string_view header, std::size_t body_bytes,
                       std::size_t body_max = kAgentBodyMax);

}  // namespace cellar::wire
