#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The few bytes of DNS (RFC 1035) that a resolver needs which answers by itself.
namespace cellar::egress {

inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeAaaa = 28;
inline constexpr std::size_t kDnsBytesMax = 4096;

struct DnsQuery {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::string name;  // "registry.npmjs.org", as it was asked for
  std::uint16_t type = 0;
  std::string question;  // its bytes, to be sent back
};

// nullopt for anything but one plain question. Never reads past `bytes`.
std::optional<DnsQuery> decode_dns_query(std::string_view bytes);

// One address for a question of type A; for other types an answer that there is none.
std::string encode_dns_answer(const DnsQuery& query, std::uint32_t address_v4);
// "No such name".
std::string encode_dns_refusal(const DnsQuery& query);

}  // namespace cellar::egress
