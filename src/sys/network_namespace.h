#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sys/fd.h"
#include "sys/process.h"

namespace cellar::sys {

// Brings up the loopback of this process's network namespace and makes every address local, IPv4
// and IPv6: a connect() to any of them reaches a listener in the namespace, and nothing leaves it.
// Everybody in it may bind every port. Throws Error.
void make_every_address_local();

// The network namespace of that very process; nullopt where it has ended. Throws Error.
std::optional<Fd> open_network_of(const ProcessId& process);

struct PortSpec {
  std::uint16_t port = 0;
  bool udp = false;
};

// Sockets bound to these ports of all addresses, IPv4 and IPv6, in the namespace
// `network_namespace`, TCP ones listening; non-blocking, close-on-exec, in the order of `ports`.
// The calling thread is in its own namespace again when this returns, or throws Error; then no
// socket is left. For single-threaded programs.
std::vector<Fd> listen_in(int network_namespace, std::span<const PortSpec> ports);

// tcp_*: to connect with, non-blocking. diagnostics: for listening_ports().
enum class SocketKind : std::uint8_t { tcp_v4, tcp_v6, diagnostics };

// A socket that belongs to the namespace, wherever it is used; close-on-exec. As listen_in().
Fd socket_in(int network_namespace, SocketKind kind);

}  // namespace cellar::sys
