#include "net/dns.h"

#include <fmt/core.h>

#include "base/check.h"
#include "net/reader.h"

namespace cellar::net {
namespace {

constexpr std::size_t kHeadSize = 12;
constexpr std::uint16_t kIsAnswer = 0x8000;
constexpr std::uint16_t kOpcodeMask = 0x7800;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;
constexpr std::uint16_t kClassIn = 1;
constexpr std::size_t kWireLabelMax = 63;
constexpr std::size_t kWireNameMax = 255;  // with the labels' lengths and the root
// A pointer to offset 12: the name of the question.
constexpr std::uint16_t kQuestionName = 0xC000 | kHeadSize;

void put_u16(std::string& out, std::uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

DnsType type_of(std::uint16_t number) {
  if (number == kTypeA) return DnsType::a;
  return number == kTypeAaaa ? DnsType::aaaa : DnsType::other;
}

// A label as text; what would not be printed plainly, a dot too, comes as \DDD.
void append_label(std::string& name, std::string_view label) {
  for (const char c : label) {
    if (c > ' ' && c < 0x7F && c != '.' && c != '\\') {
      name.push_back(c);
    } else {
      name += fmt::format("\\{:03}", static_cast<unsigned char>(c));
    }
  }
}

// nullopt for a name that is cut, too long, or has a pointer: nothing stands before a question.
std::optional<std::string> read_name(Reader& reader) {
  std::string name;
  std::size_t size = 0;
  for (;;) {
    const std::size_t label_size = reader.u8();
    size += 1 + label_size;
    if (reader.failed() || label_size > kWireLabelMax || size > kWireNameMax) return std::nullopt;
    if (label_size == 0) return name;
    if (!name.empty()) name.push_back('.');
    append_label(name, reader.take(label_size));
  }
}

std::string encode_head(const DnsQuery& query, DnsCode code, std::uint16_t answer_count) {
  std::uint16_t flags = kIsAnswer | kRecursionAvailable;
  if (query.recursion_desired) flags |= kRecursionDesired;
  flags |= static_cast<std::uint16_t>(code);
  std::string out;
  put_u16(out, query.id);
  put_u16(out, flags);
  put_u16(out, 1);
  put_u16(out, answer_count);
  put_u16(out, 0);
  put_u16(out, 0);
  return out + query.question;
}

}  // namespace

std::optional<DnsQuery> decode_dns_query(std::string_view bytes) {
  Reader head(bytes.substr(0, kHeadSize));
  DnsQuery query;
  query.id = head.u16();
  const std::uint16_t flags = head.u16();
  const std::uint16_t question_count = head.u16();
  head.take(6);  // the counts of the other sections: whatever they hold changes no answer
  if (head.failed() || (flags & (kIsAnswer | kOpcodeMask)) != 0 || question_count != 1) {
    return std::nullopt;
  }
  query.recursion_desired = (flags & kRecursionDesired) != 0;

  Reader reader(bytes.substr(kHeadSize));
  const auto name = read_name(reader);
  query.type = type_of(reader.u16());
  const std::uint16_t query_class = reader.u16();
  if (!name || reader.failed() || query_class != kClassIn) return std::nullopt;
  query.name = *name;
  query.question = bytes.substr(kHeadSize, bytes.size() - kHeadSize - reader.size());
  return query;
}

std::string encode_dns_answer(const DnsQuery& query, DnsCode code) {
  return encode_head(query, code, 0);
}

std::string encode_dns_answer(const DnsQuery& query, const boost::asio::ip::address_v4& address) {
  std::string out = encode_head(query, DnsCode::no_error, 1);
  put_u16(out, kQuestionName);
  put_u16(out, kTypeA);
  put_u16(out, kClassIn);
  put_u16(out, 0);
  put_u16(out, static_cast<std::uint16_t>(kDnsTtl.count()));
  const auto bytes = address.to_bytes();
  put_u16(out, static_cast<std::uint16_t>(bytes.size()));
  out.append(bytes.begin(), bytes.end());
  return out;
}

std::optional<std::string_view> unframe_dns(std::string_view bytes) {
  Reader reader(bytes);
  const std::string_view message = reader.take(reader.u16());
  if (reader.failed()) return std::nullopt;
  return message;
}

std::string frame_dns(std::string_view message) {
  CELLAR_CHECK(message.size() <= UINT16_MAX);
  std::string out;
  put_u16(out, static_cast<std::uint16_t>(message.size()));
  return out += message;
}

}  // namespace cellar::net
