#include "net/address.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/text.h"

namespace cellar::net {
namespace {

using asio::ip::address;
using asio::ip::address_v4;
using asio::ip::address_v6;

constexpr int kV4Bits = 32;
constexpr int kV6Bits = 128;
constexpr int kMappedBits = 96;  // ::ffff:0:0/96

struct V4Network {
  std::uint32_t first;
  int prefix_bits;
};
constexpr std::array<V4Network, 13> kPrivateNetworks = {{
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

// Whether all addresses that share `prefix_bits` bits with `v4` are in one private network.
bool is_private(const address_v4& v4, int prefix_bits) {
  const std::uint32_t bits = v4.to_uint();
  return std::any_of(kPrivateNetworks.begin(), kPrivateNetworks.end(), [&](const V4Network& net) {
    return prefix_bits >= net.prefix_bits &&
           ((bits ^ net.first) >> (kV4Bits - net.prefix_bits)) == 0;
  });
}

bool is_private(const address_v6& v6, int prefix_bits) {
  constexpr int kGlobalBits = 3;     // 2000::/3 is global unicast
  constexpr int k6to4Bits = 16;      // 2002::/16 carries an IPv4 address behind them
  constexpr int kProtocolBits = 23;  // 2001::/23: Teredo and other protocols, no hosts
  const auto bytes = v6.to_bytes();
  if (prefix_bits < kGlobalBits) return false;
  // All else, ::1, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96 (NAT64) and 64:ff9b:1::/48 included,
  // is for somebody nearer.
  if ((bytes[0] & 0xE0) != 0x20) return true;
  if (bytes[0] == 0x20 && bytes[1] == 0x02 && prefix_bits >= k6to4Bits) {
    const address_v4 carried({bytes[2], bytes[3], bytes[4], bytes[5]});
    return is_private(carried, std::min(prefix_bits - k6to4Bits, kV4Bits));
  }
  return bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] <= 0x01 && prefix_bits >= kProtocolBits;
}

// Sets the bits behind the first `prefix_bits` to 0.
void clear_tail(std::span<unsigned char> bytes, int prefix_bits) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int kept = std::clamp(prefix_bits - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<unsigned char>(bytes[i] & (0xFF00 >> kept));
  }
}

address masked(const address& any, int prefix_bits) {
  if (any.is_v4()) {
    auto bytes = any.to_v4().to_bytes();
    clear_tail(bytes, prefix_bits);
    return address_v4(bytes);
  }
  auto bytes = any.to_v6().to_bytes();
  clear_tail(bytes, prefix_bits);
  return address_v6(bytes);
}

}  // namespace

address unmapped(const address& any) {
  if (!any.is_v6() || !any.to_v6().is_v4_mapped()) return any;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, any.to_v6());
}

bool is_private_address(const address& any) {
  const address plain = unmapped(any);
  return plain.is_v4() ? is_private(plain.to_v4(), kV4Bits) : is_private(plain.to_v6(), kV6Bits);
}

bool Network::contains(const address& any) const {
  const address plain = unmapped(any);
  return plain.is_v4() == first.is_v4() && masked(plain, prefix_bits) == first;
}

bool Network::is_private() const {
  return first.is_v4() ? net::is_private(first.to_v4(), prefix_bits)
                       : net::is_private(first.to_v6(), prefix_bits);
}

bool Network::has_loopback() const {
  const Network loopback =
      first.is_v4() ? Network{address_v4(0x7F000000), 8} : Network{address_v6::loopback(), kV6Bits};
  return contains(loopback.first) || loopback.contains(first);
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  boost::system::error_code error;
  const address any = asio::ip::make_address(std::string(text.substr(0, slash)), error);
  if (error || (any.is_v6() && any.to_v6().scope_id() != 0)) return std::nullopt;
  int prefix_bits = any.is_v4() ? kV4Bits : kV6Bits;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto number = parse_int(digits);
    const bool is_plain = !digits.empty() && digits.front() >= '0' && digits.front() <= '9';
    if (!is_plain || !number || *number > prefix_bits) return std::nullopt;
    prefix_bits = static_cast<int>(*number);
  }
  if (any.is_v6() && any.to_v6().is_v4_mapped() && prefix_bits >= kMappedBits) {
    return Network{masked(unmapped(any), prefix_bits - kMappedBits), prefix_bits - kMappedBits};
  }
  return Network{masked(any, prefix_bits), prefix_bits};
}

}  // namespace cellar::net
