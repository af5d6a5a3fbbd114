#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::net {

namespace asio = boost::asio;

// What a cell may reach: its allow-list, parsed. A value; no I/O.
//
// An entry is a name ("api.example.com"), every name below one at any depth ("*.example.com", not
// example.com itself) or an address ("203.0.113.7", "2001:db8::7"), each with a port behind a colon
// or without one: then ports 80 and 443 are meant. An IPv6 address with a port is "[v6]:port".
class Policy {
 public:
  static constexpr std::size_t kEntriesMax = 256;

  // Nothing is allowed.
  Policy() = default;
  // Throws Error `invalid_argument`, reason `invalid_allow`, naming the entry.
  static Policy parse(const std::vector<std::string>& allow);

  // Names in any case, with or without the dot at the end.
  bool allows_name(std::string_view name, std::uint16_t port) const;
  // Whether the name is allowed on some port: then it resolves.
  bool lists_name(std::string_view name) const;
  // Only addresses that are listed literally. An IPv4 address mapped into IPv6 is that address.
  bool allows_address(const asio::ip::address& address, std::uint16_t port) const;
  // 80, 443 and every port named, sorted: what the cell's listeners must cover.
  std::vector<std::uint16_t> tcp_ports() const;

 private:
  struct NameRule {
    std::string name;  // for a wildcard ".example.com": what the name must end in
    std::optional<std::uint16_t> port;
    bool covers(std::string_view other) const;  // `other` is normal (name.h)
  };
  struct AddressRule {
    asio::ip::address address;
    std::optional<std::uint16_t> port;
  };

  void add(const std::string& entry);

  std::vector<NameRule> names_;
  std::vector<AddressRule> addresses_;
};

// Whether `address` is not one of the public internet: loopback, private, link-local (the cloud's
// metadata among them), carrier NAT, multicast, reserved, and every IPv6 form that carries one of
// those. A name that resolves to such an address leads nowhere, unless the address is listed.
// The documentation networks (203.0.113.0/24 and so on) count as public.
bool is_private_address(const asio::ip::address& address);

// An IPv4 address mapped into IPv6 as that IPv4 address; any other unchanged.
asio::ip::address unmapped(const asio::ip::address& address);

}  // namespace cellar::net
