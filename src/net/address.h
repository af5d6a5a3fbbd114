#pragma once

#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace cellar::net {

namespace asio = boost::asio;

// Whether `address` is not one of the public internet: loopback, private, link-local (the cloud's
// metadata among them), carrier NAT, multicast, reserved, and every IPv6 form that carries one of
// those. A name that resolves to such an address leads nowhere, unless the address is listed.
// The documentation networks (203.0.113.0/24 and so on) count as public.
bool is_private_address(const asio::ip::address& address);

// An IPv4 address mapped into IPv6 as that IPv4 address; any other unchanged.
asio::ip::address unmapped(const asio::ip::address& address);

// The addresses that begin with the same bits. Never a mapped one: that is a network of IPv4.
struct Network {
  asio::ip::address first;
  int prefix_bits = 0;

  // Mapped addresses count as what they are.
  bool contains(const asio::ip::address& address) const;
  // Whether all of it is within one private network: who writes it down means that one.
  bool is_private() const;
  // Whether some of it is in 127.0.0.0/8, or is ::1.
  bool has_loopback() const;
  bool operator==(const Network&) const = default;
};

// "203.0.113.7", "10.0.0.0/8", "2001:db8::/32". nullopt for what is no such text; bits behind the
// prefix are dropped, see `first`.
std::optional<Network> parse_network(std::string_view text);

}  // namespace cellar::net
