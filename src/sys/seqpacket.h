#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/fd.h"

// Unix sockets that keep messages whole (SOCK_SEQPACKET) and carry descriptors.
namespace cellar::sys {

inline constexpr std::size_t kMessageFdsMax = 16;
inline constexpr std::size_t kMessageBytesMax = 160 << 10;

struct Message {
  std::string bytes;
  std::vector<Fd> fds;
};

enum class Wait : std::uint8_t { block, no };

// Both ends close-on-exec and blocking. Throws Error.
std::pair<Fd, Fd> seqpacket_pair();

// A listening socket at `path`, which may be longer than a socket address. A socket that was there
// is removed first; mode 0600. Throws Error.
Fd seqpacket_listen(const std::string& path);
// The two halves of it: the socket belongs to the network namespace of who makes it, who listens
// may be in another one.
Fd seqpacket_socket();
void seqpacket_listen(int socket, const std::string& path);

// Throws Error: `unavailable` where nobody listens, `not_found` where there is no socket.
Fd seqpacket_connect(const std::string& path);

// For a peer that cannot accept(2) on a socket of ours, as nothing in gVisor can: a datagram socket
// at `path`, to which each connection is sent as one end of a pair. Mode 0600. Throw Error.
Fd rendezvous_listen(const std::string& path);
// The other end: `unavailable` where nobody takes connections, or too slowly.
Fd rendezvous_connect(const std::string& path);
// The next connection; empty where there is none now.
Fd rendezvous_accept(int socket);

// Sends one message whole. At Wait::no false where there is no room now. Throws Error, `too_large`
// above kMessageBytesMax, `unavailable` where the peer is gone.
bool send_message(int socket, std::string_view bytes, std::span<const int> fds = {},
                  Wait wait = Wait::block);

// The next message, its descriptors close-on-exec. nullopt at the end of the stream, and at
// Wait::no also where there is none now: `*would_block` (may be null) tells which. Throws Error.
std::optional<Message> receive_message(int socket, Wait wait = Wait::block,
                                       bool* would_block = nullptr);

// Whether the peer is gone; what it has sent before may still be received. Throws Error.
bool has_hung_up(int socket);

}  // namespace cellar::sys
