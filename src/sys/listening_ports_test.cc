#include "sys/listening_ports.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "sys/fd.h"
#include "sys/file.h"
#include "sys/network_namespace.h"

namespace cellar::sys {
namespace {

// A listening socket on a free port of 127.0.0.1, and which one it is.
struct Listening {
  Fd socket;
  std::uint16_t port = 0;
};

Listening listen_somewhere() {
  Listening made{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* as_any = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(made.socket.get(), as_any, size) == 0);
  REQUIRE(::listen(made.socket.get(), 1) == 0);
  REQUIRE(::getsockname(made.socket.get(), as_any, &size) == 0);
  made.port = ntohs(address.sin_port);
  return made;
}

}  // namespace

TEST_CASE("a port is told as long as somebody listens on it, with its address and whose it is") {
  const Fd diagnostics(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  REQUIRE(diagnostics);
  Listening listening = listen_somewhere();
  ListeningPort expected{.port = listening.port, .uid = ::getuid()};
  expected.address = {127, 0, 0, 1};
  const auto is_told = [&] {
    const ListeningPorts found = listening_ports(diagnostics.get());
    return std::find(found.list.begin(), found.list.end(), expected) != found.list.end();
  };
  CHECK(is_told());
  listening.socket.reset();
  CHECK_FALSE(is_told());
}

TEST_CASE("a socket made in another namespace sees that one's ports only") {
  if (::getuid() != 0) {
    MESSAGE("skipped: needs root");
    return;
  }
  const Listening listening = listen_somewhere();
  // Its own namespace is one, too: what matters is that the socket is made there.
  const Fd own = open_file("/proc/self/ns/net", O_RDONLY);
  const Fd diagnostics = socket_in(own.get(), SocketKind::diagnostics);
  const ListeningPorts found = listening_ports(diagnostics.get());
  CHECK(std::any_of(found.list.begin(), found.list.end(),
                    [&](const ListeningPort& port) { return port.port == listening.port; }));
  const Fd tcp = socket_in(own.get(), SocketKind::tcp_v4);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(listening.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result =
      ::connect(tcp.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  CHECK((result == 0 || errno == EINPROGRESS));
}

}  // namespace cellar::sys
