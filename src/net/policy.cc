#include "net/policy.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "net/dns.h"
#include "net/name.h"
#include "net/synthetic.h"

namespace cellar::net {
namespace {

using asio::ip::address;
using asio::ip::address_v4;
using asio::ip::address_v6;

constexpr std::array<std::uint16_t, 2> kDefaultPorts = {80, 443};

struct Network {
  std::uint32_t first;
  int prefix_bits;
};
constexpr std::array<Network, 13> kPrivateNetworks = {{
    {0x00000000, 8},   // 0.0.0.0/8: this host
    {0x0A000000, 8},   // 10.0.0.0/8
    {0x64400000, 10},  // 100.64.0.0/10: carrier NAT
    {0x7F000000, 8},   // 127.0.0.0/8
    {0xA9FE0000, 16},  // 169.254.0.0/16: link-local, metadata of clouds
    {0xA83F8110, 32},  // 168.63.129.16: metadata of a cloud, among public addresses
    {0xAC100000, 12},  // 172.16.0.0/12
    {0xC0000000, 24},  // 192.0.0.0/24: protocol assignments
    {0xC0586300, 24},  // 192.88.99.0/24: 6to4 relays
    {0xC0A80000, 16},  // 192.168.0.0/16
    {0xC6120000, 15},  // 198.18.0.0/15: benchmarks, and synthetic addresses
    {0xE0000000, 4},   // 224.0.0.0/4: multicast
    {0xF0000000, 4},   // 240.0.0.0/4: reserved, broadcast
}};

bool is_private(const address_v4& v4) {
  const std::uint32_t bits = v4.to_uint();
  return std::any_of(kPrivateNetworks.begin(), kPrivateNetworks.end(), [&](const Network& net) {
    return ((bits ^ net.first) >> (32 - net.prefix_bits)) == 0;
  });
}

bool is_private(const address_v6& v6) {
  const auto bytes = v6.to_bytes();
  // Global unicast is 2000::/3. All else, ::1, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96 (NAT64)
  // and 64:ff9b:1::/48 included, is for somebody nearer.
  if ((bytes[0] & 0xE0) != 0x20) return true;
  if (bytes[0] == 0x20 && bytes[1] == 0x02) {  // 2002::/16 (6to4) carries an IPv4 address.
    return is_private(address_v4({bytes[2], bytes[3], bytes[4], bytes[5]}));
  }
  // 2001::/23: Teredo and other protocols, no hosts.
  return bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] <= 0x01;
}

[[noreturn]] void refuse(const std::string& entry, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_allow", "allow entry \"" + entry + "\": " + why,
              "write a name, *.name or an address, each with :port or without");
}

std::uint16_t parse_port(const std::string& entry, std::string_view text) {
  const auto port = parse_int(text);
  const bool is_plain = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (!port || !is_plain || *port < 1 || *port > 65535) {
    refuse(entry, "the port must be a number from 1 to 65535");
  }
  if (*port == kDnsPort) refuse(entry, "port 53 of every address is the cell's own resolver");
  return static_cast<std::uint16_t>(*port);
}

struct HostAndPort {
  std::string_view host;
  std::optional<std::uint16_t> port;
};

HostAndPort split_port(const std::string& entry) {
  const std::string_view text = entry;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) refuse(entry, "the ] is missing");
    const std::string_view host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) refuse(entry, "only IPv6 addresses stand in []");
    if (rest.empty()) return {host, std::nullopt};
    if (!rest.starts_with(':')) refuse(entry, "only a :port may follow the ]");
    return {host, parse_port(entry, rest.substr(1))};
  }
  const std::size_t colon = text.find(':');
  // Two colons and no brackets: an IPv6 address.
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    return {text, std::nullopt};
  }
  return {text.substr(0, colon), parse_port(entry, text.substr(colon + 1))};
}

bool matches(const std::optional<std::uint16_t>& rule, std::uint16_t port) {
  if (rule) return *rule == port;
  return std::find(kDefaultPorts.begin(), kDefaultPorts.end(), port) != kDefaultPorts.end();
}

}  // namespace

address unmapped(const address& any) {
  if (!any.is_v6() || !any.to_v6().is_v4_mapped()) return any;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, any.to_v6());
}

bool is_private_address(const address& any) {
  const address plain = unmapped(any);
  return plain.is_v4() ? is_private(plain.to_v4()) : is_private(plain.to_v6());
}

bool Policy::NameRule::covers(std::string_view other) const {
  return name.starts_with('.') ? other.ends_with(name) : other == name;
}

Policy Policy::parse(const std::vector<std::string>& allow) {
  if (allow.size() > kEntriesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_allow",
                "allow has " + std::to_string(allow.size()) + " entries, at most " +
                    std::to_string(kEntriesMax));
  }
  Policy policy;
  for (const std::string& entry : allow) policy.add(entry);
  return policy;
}

void Policy::add(const std::string& entry) {
  const auto [host, port] = split_port(entry);
  boost::system::error_code no_address;
  const address literal = asio::ip::make_address(std::string(host), no_address);
  if (!no_address) {
    if (literal.is_v6() && literal.to_v6().scope_id() != 0) refuse(entry, "a scope is not allowed");
    const address plain = unmapped(literal);
    if (is_synthetic(plain)) refuse(entry, "198.18.0.0/15 stands for names inside of cells");
    if (plain.is_unspecified()) refuse(entry, "this is no address of a host");
    addresses_.push_back({plain, port});
    return;
  }
  const bool is_wildcard = host.starts_with("*.");
  const auto name = normal_name(is_wildcard ? host.substr(2) : host);
  if (!name) refuse(entry, "neither a host name nor an address");
  names_.push_back({is_wildcard ? "." + *name : *name, port});
}

bool Policy::allows_name(std::string_view name, std::uint16_t port) const {
  const auto normal = normal_name(name);
  return normal && std::any_of(names_.begin(), names_.end(), [&](const NameRule& rule) {
           return matches(rule.port, port) && rule.covers(*normal);
         });
}

bool Policy::lists_name(std::string_view name) const {
  const auto normal = normal_name(name);
  return normal && std::any_of(names_.begin(), names_.end(),
                               [&](const NameRule& rule) { return rule.covers(*normal); });
}

bool Policy::allows_address(const address& any, std::uint16_t port) const {
  const address plain = unmapped(any);
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const AddressRule& rule) {
    return rule.address == plain && matches(rule.port, port);
  });
}

std::vector<std::uint16_t> Policy::tcp_ports() const {
  std::set<std::uint16_t> ports(kDefaultPorts.begin(), kDefaultPorts.end());
  for (const NameRule& rule : names_) {
    if (rule.port) ports.insert(*rule.port);
  }
  for (const AddressRule& rule : addresses_) {
    if (rule.port) ports.insert(*rule.port);
  }
  return std::vector<std::uint16_t>(ports.begin(), ports.end());
}

}  // namespace cellar::net
