#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The part of DNS (RFC 1035) that a cell's resolver speaks: one question in, at most one address
// out. Pure: bytes in, bytes out.
namespace cellar::net {

enum class DnsType : std::uint8_t { a, aaaa, other };

struct DnsQuery {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;  // "api.example.com": as asked, no dot at the end; odd bytes as \DDD
  DnsType type = DnsType::other;
  std::string question;  // the question's bytes, repeated in the answer
};

enum class DnsCode : std::uint8_t { no_error = 0, server_failure = 2, nx_domain = 3, refused = 5 };

inline constexpr std::chrono::seconds kDnsTtl{60};
inline constexpr std::uint16_t kDnsPort = 53;

// nullopt for what is no standard query with one question of class IN: it is not answered. Never
// throws and never reads past `bytes`.
std::optional<DnsQuery> decode_dns_query(std::string_view bytes);

// An answer with no record.
std::string encode_dns_answer(const DnsQuery& query, DnsCode code);
// An answer with one A record of kDnsTtl.
std::string encode_dns_answer(const DnsQuery& query, const boost::asio::ip::address_v4& address);

// TCP puts two bytes of length before each message. The message at the start of `bytes`, without
// them; nullopt where it is not whole yet.
std::optional<std::string_view> unframe_dns(std::string_view bytes);
// `message` is shorter than 64 KiB.
std::string frame_dns(std::string_view message);

}  // namespace cellar::net
