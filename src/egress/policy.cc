#include "egress/policy.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace cellar::egress {
namespace {

using asio::ip::address;
using asio::ip::address_v4;
using asio::ip::address_v6;

constexpr std::size_t kNameBytesMax = 253;

[[noreturn]] void refuse(const std::string& entry, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_allow", "\"allow\": \"" + entry + "\" " + why,
              "an entry is a name (registry.npmjs.org, *.debian.org) or an address, with :port "
              "where it is not 80 or 443");
}

struct Block {
  std::uint32_t base;
  int bits;
};
constexpr std::array<Block, 13> kPrivate = {{{0x00000000, 8},     // this network
                                             {0x0a000000, 8},     // private
                                             {0x64400000, 10},    // shared by carriers
                                             {0x7f000000, 8},     // loopback
                                             {0xa9fe0000, 16},    // link-local, metadata services
                                             {0xac100000, 12},    // private
                                             {0xc0000000, 24},    // protocol assignments
                                             {0xc0a80000, 16},    // private
                                             {0xc6120000, 15},    // benchmarks; our own names
                                             {0xe0000000, 4},     // multicast
                                             {0xf0000000, 4},     // reserved, broadcast
                                             {0xa83f8110, 32},    // a metadata service
                                             {0x646464c8, 32}}};  // a metadata service

bool is_private_v4(std::uint32_t value) {
  return std::any_of(kPrivate.begin(), kPrivate.end(), [value](const Block& block) {
    return value >> (32 - block.bits) == block.base >> (32 - block.bits);
  });
}

std::uint32_t last_word(const address_v6::bytes_type& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

bool is_private_v6(const address_v6& v6) {
  const auto bytes = v6.to_bytes();
  if (v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || v6.is_link_local()) {
    return true;
  }
  if ((bytes[0] & 0xfe) == 0xfc) return true;                      // unique local
  if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0xc0) return true;  // site local
  if (v6.is_v4_mapped()) return is_private_v4(last_word(bytes, 12));
  if (bytes[0] == 0x00 && bytes[1] == 0x64 && bytes[2] == 0xff) {  // NAT64
    return is_private_v4(last_word(bytes, 12));
  }
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return is_private_v4(last_word(bytes, 2));  // 6to4
  // The first twelve bytes zero: an IPv4 address in an old form.
  const bool compatible =
      std::all_of(bytes.begin(), bytes.begin() + 12, [](unsigned char byte) { return byte == 0; });
  return compatible;
}

}  // namespace

std::string normal_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return to_lower_ascii(name);
}

bool is_host_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.') return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

bool is_private(const address& address) {
  if (address.is_v4()) return is_private_v4(address.to_v4().to_uint());
  return is_private_v6(address.to_v6());
}

Policy Policy::parse(const std::vector<std::string>& allow) {
  if (allow.size() > kEntriesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_allow",
                "\"allow\" has " + std::to_string(allow.size()) + " entries, at most " +
                    std::to_string(kEntriesMax));
  }
  Policy policy;
  for (const std::string& text : allow) policy.entries_.push_back(parse_entry(text));
  return policy;
}

Policy::Entry Policy::parse_entry(const std::string& text) {
  Entry entry;
  std::string_view host = text;
  boost::system::error_code error;
  const auto bare = asio::ip::make_address(text, error);
  const std::size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with("[");
  const bool has_port_part =
      error && colon != std::string::npos && (!bracketed || (colon > 0 && text[colon - 1] == ']'));
  if (has_port_part) {
    const auto port = parse_int(std::string_view(text).substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) refuse(text, "has no port from 1 to 65535");
    entry.port = static_cast<std::uint16_t>(*port);
    host = host.substr(0, colon);
  }
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  entry.address = error ? asio::ip::make_address(std::string(host), error) : bare;
  if (!error) return entry;
  if (bracketed) refuse(text, "is no IPv6 address");
  if (host.starts_with("*.")) {
    entry.below = true;
    host.remove_prefix(2);
  }
  entry.name = normal_name(host);
  if (!is_host_name(entry.name)) refuse(text, "is no name or address");
  return entry;
}

bool Policy::has_port(const Entry& entry, std::uint16_t port) {
  return entry.port == 0 ? port == 80 || port == 443 : entry.port == port;
}

namespace {

bool matches(std::string_view listed, bool below, std::string_view name) {
  if (!below) return name == listed;
  return name.size() > listed.size() + 1 && name.ends_with(listed) &&
         name[name.size() - listed.size() - 1] == '.';
}

}  // namespace

bool Policy::allows_name(std::string_view name, std::uint16_t port) const {
  const std::string normal = normal_name(name);
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return !entry.name.empty() && matches(entry.name, entry.below, normal) && has_port(entry, port);
  });
}

bool Policy::knows_name(std::string_view name) const {
  const std::string normal = normal_name(name);
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return !entry.name.empty() && matches(entry.name, entry.below, normal);
  });
}

bool Policy::allows_address(const address& address, std::uint16_t port) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.name.empty() && entry.address == address && has_port(entry, port);
  });
}

std::vector<std::uint16_t> Policy::ports() const {
  std::vector<std::uint16_t> ports = {80, 443};
  for (const Entry& entry : entries_) {
    if (entry.port != 0) ports.push_back(entry.port);
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

}  // namespace cellar::egress
