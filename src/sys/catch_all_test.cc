#include "sys/catch_all.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/network_namespace.h"

namespace cellar::sys {
namespace {

sockaddr_in6 endpoint(const char* address, std::uint16_t port) {
  sockaddr_in6 made{};
  made.sin6_family = AF_INET6;
  made.sin6_port = htons(port);
  ::inet_pton(AF_INET6, address, &made.sin6_addr);
  return made;
}

// Connects this thread's namespace to an address (IPv4 ones mapped), and gives what `listener` has
// accepted then: "address port"; "other" where somebody else did, "refused" where nobody.
std::string way_of(const char* address, std::uint16_t port, int listener) {
  const Fd client(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in6 to = endpoint(address, port);
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == -1) {
    return "refused";
  }
  const Fd accepted(
      ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));  // The listener waits not.
  if (!accepted) return "other";
  sockaddr_in6 wanted{};
  socklen_t size = sizeof wanted;
  ::getsockname(accepted.get(), reinterpret_cast<sockaddr*>(&wanted), &size);
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(AF_INET6, &wanted.sin6_addr, text, sizeof text);
  return std::string(text) + " " + std::to_string(ntohs(wanted.sin6_port));
}

void check_what_is_caught() {
  enter_new_network_namespace();
  make_every_address_local();
  const Fd network = open_file("/proc/thread-self/ns/net", O_RDONLY);
  const PortSpec ports[] = {{3128}, {7777}};
  std::vector<Fd> listeners = listen_in(network.get(), ports);
  // listen_in() has gone back to the namespace of the process.
  REQUIRE(::setns(network.get(), CLONE_NEWNET) == 0);
  const int ours = listeners[0].get();
  CHECK(way_of("::ffff:203.0.113.7", 7777, ours) == "other");

  Fd link = catch_all(network.get(), ours);
  CHECK(way_of("::ffff:203.0.113.7", 7777, ours) == "::ffff:203.0.113.7 7777");
  CHECK(way_of("::ffff:198.18.1.2", 1, ours) == "::ffff:198.18.1.2 1");
  CHECK(way_of("::ffff:126.255.255.255", 65535, ours) == "::ffff:126.255.255.255 65535");
  CHECK(way_of("2001:db8::7", 7777, ours) == "2001:db8::7 7777");
  CHECK(way_of("::2", 7777, ours) == "::2 7777");
  CHECK(way_of("100::1", 7777, ours) == "100::1 7777");
  for (const std::string own :
       {"::ffff:127.0.0.1", "::ffff:127.255.0.9", "::1", "::ffff:0.0.0.0"}) {
    CAPTURE(own);
    CHECK(way_of(own.c_str(), 7777, ours) == "other");
    CHECK(way_of(own.c_str(), 7778, ours) == "refused");
  }
  link.reset();
  CHECK(way_of("::ffff:203.0.113.7", 7777, ours) == "other");
  CHECK(way_of("::ffff:203.0.113.7", 7778, ours) == "refused");
}

}  // namespace

TEST_CASE("one listener takes what goes to any address but loopback ones, as long as its link is") {
  try {
    try_catch_all();
  } catch (const Error& error) {
    MESSAGE("skipped: this machine has no sk_lookup for us: " << error.what());
    return;
  }
  std::thread(check_what_is_caught).join();
}

}  // namespace cellar::sys
