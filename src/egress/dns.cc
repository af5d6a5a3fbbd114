#include "egress/dns.h"

namespace cellar::egress {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::uint16_t kClassInternet = 1;
constexpr std::uint32_t kLifetimeSeconds = 60;
constexpr std::uint16_t kIsResponse = 0x8000;
constexpr std::uint16_t kRecursionAsked = 0x0100;
constexpr std::uint16_t kRecursionServed = 0x0080;
constexpr std::uint16_t kNoSuchName = 3;

std::uint16_t be16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

void put16(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}
void put32(std::string& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

std::string head(const DnsQuery& query, std::uint16_t code, std::uint16_t answer_count) {
  std::string out;
  put16(out, query.id);
  put16(out, kIsResponse | kRecursionServed | (query.flags & kRecursionAsked) | code);
  put16(out, 1);
  put16(out, answer_count);
  put16(out, 0);
  put16(out, 0);
  return out + query.question;
}

}  // namespace

std::optional<DnsQuery> decode_dns_query(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  DnsQuery query;
  query.id = be16(bytes, 0);
  query.flags = be16(bytes, 2);
  const bool is_query = (query.flags & 0xf800) == 0;  // no answer, opcode 0
  if (!is_query || be16(bytes, 4) != 1) return std::nullopt;
  std::size_t at = kHeaderBytes;
  for (;;) {
    if (at >= bytes.size()) return std::nullopt;
    const auto size = static_cast<unsigned char>(bytes[at]);
    ++at;
    if (size == 0) break;
    if (size > kLabelBytesMax || at + size > bytes.size()) return std::nullopt;  // also pointers
    if (!query.name.empty()) query.name.push_back('.');
    query.name.append(bytes.substr(at, size));
    if (query.name.size() > kNameBytesMax) return std::nullopt;
    at += size;
  }
  if (at + 4 > bytes.size()) return std::nullopt;
  query.type = be16(bytes, at);
  if (be16(bytes, at + 2) != kClassInternet) return std::nullopt;
  query.question = bytes.substr(kHeaderBytes, at + 4 - kHeaderBytes);
  return query;
}

std::string encode_dns_answer(const DnsQuery& query, std::uint32_t address_v4) {
  if (query.type != kTypeA) return head(query, 0, 0);
  std::string out = head(query, 0, 1);
  put16(out, 0xc000 | kHeaderBytes);  // the question's name
  put16(out, kTypeA);
  put16(out, kClassInternet);
  put32(out, kLifetimeSeconds);
  put16(out, 4);
  put32(out, address_v4);
  return out;
}

std::string encode_dns_refusal(const DnsQuery& query) { return head(query, kNoSuchName, 0); }

}  // namespace cellar::egress
