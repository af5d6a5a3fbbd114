#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace cellar::sys {

// A TCP socket that listens.
struct ListeningPort {
  std::uint16_t port = 0;
  bool is_v6 = false;
  std::array<std::uint8_t, 16> address{};  // in the network's order; the first 4 bytes for IPv4
  std::uint32_t uid = 0;                   // of whoever made it, as the socket's maker sees ids

  bool operator==(const ListeningPort&) const = default;
};

struct ListeningPorts {
  static constexpr std::size_t kCountMax = 1024;
  std::vector<ListeningPort> list;  // as the kernel tells them
  bool is_whole = true;             // false: there are more, and the socket is of no more use
};

// What listens in the network namespace of `socket` (SocketKind::diagnostics of
// network_namespace.h). Takes some 10 microseconds. Throws Error.
ListeningPorts listening_ports(int socket);

}  // namespace cellar::sys
