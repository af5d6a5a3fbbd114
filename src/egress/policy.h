#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::egress {

namespace asio = boost::asio;

// What a cell may reach: a list of names and addresses, everything else is refused. Immutable.
class Policy {
 public:
  static constexpr std::size_t kEntriesMax = 256;

  // Nothing.
  Policy() = default;

  // Entries are "registry.npmjs.org", "*.debian.org" (every name below it, not itself),
  // "10.0.0.5" and "[::1]", each with ":port" behind it or else for the ports 80 and 443. Names are
  // compared without case. Throws Error `invalid_argument`, reason `invalid_allow`, naming the
  // entry.
  static Policy parse(const std::vector<std::string>& allow);

  bool allows_name(std::string_view name, std::uint16_t port) const;
  // Whether a name may be asked for at all.
  bool knows_name(std::string_view name) const;
  // Only an address that is listed as such.
  bool allows_address(const asio::ip::address& address, std::uint16_t port) const;

  // All ports that something is allowed on; 80 and 443 always.
  std::vector<std::uint16_t> ports() const;

 private:
  struct Entry {
    std::string name;  // lower case; empty for an address
    bool below = false;
    asio::ip::address address;
    std::uint16_t port = 0;  // 0: 80 and 443
  };
  static Entry parse_entry(const std::string& text);
  static bool has_port(const Entry& entry, std::uint16_t port);

  std::vector<Entry> entries_;
};

// A name as it is compared: lower case, without the final dot.
std::string normal_name(std::string_view name);
// Letters, digits, '-', '_' and dots, 253 bytes at most.
bool is_host_name(std::string_view name) noexcept;

// Loopback, private, link-local, shared, multicast, benchmark and unspecified addresses, those of
// cloud metadata services, and IPv6 forms that carry one of them: what a name on the list must
// never lead to. (RFC 6890; the documentation blocks count as public.)
bool is_private(const asio::ip::address& address);

}  // namespace cellar::egress
