#include "net/client_hello.h"

#include <optional>

#include "net/name.h"
#include "net/reader.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::size_t kRecordHeadSize = 5;
constexpr std::size_t kRecordSizeMax = 16 << 10;
constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kMessageHeadSize = 4;
constexpr std::size_t kRandomSize = 32;
constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint8_t kHostName = 0;

// The list in the server_name extension (RFC 6066): one host name, nothing else.
PeekedName read_server_names(std::string_view extension) {
  Reader reader(extension);
  Reader list(reader.take(reader.u16()));
  const std::uint8_t type = list.u8();
  const std::string_view host = list.take(list.u16());
  if (reader.failed() || !reader.empty() || list.failed() || !list.empty() || type != kHostName) {
    return {State::malformed};
  }
  auto name = normal_name(host);
  if (!name) return {State::malformed};
  return {State::found, std::move(*name)};
}

PeekedName read_body(std::string_view body) {
  Reader reader(body);
  reader.u16();  // version
  reader.take(kRandomSize);
  reader.take(reader.u8());   // session id
  reader.take(reader.u16());  // cipher suites
  reader.take(reader.u8());   // compression methods
  if (!reader.failed() && reader.empty()) return {State::none};
  Reader extensions(reader.take(reader.u16()));
  if (reader.failed() || !reader.empty()) return {State::malformed};

  std::optional<PeekedName> answer;
  while (!extensions.empty()) {
    const std::uint16_t type = extensions.u16();
    const std::string_view data = extensions.take(extensions.u16());
    if (extensions.failed()) return {State::malformed};
    if (type != kServerNameExtension) continue;
    // Two names: which one the server takes is anybody's guess.
    if (answer) return {State::malformed};
    answer = read_server_names(data);
  }
  return answer.value_or(PeekedName{State::none});
}

}  // namespace

PeekedName peek_client_hello(std::string_view bytes) {
  std::string message;  // what the records carry
  for (std::size_t at = 0;;) {
    if (message.size() >= 1 && static_cast<std::uint8_t>(message[0]) != kClientHello) {
      return {State::malformed};
    }
    if (message.size() >= kMessageHeadSize) {
      Reader head(message);
      head.u8();
      const std::size_t size = head.u24();
      if (size > kHeadSizeMax) return {State::malformed};
      const std::string_view body = head.take(size);
      if (!head.failed()) return read_body(body);
    }
    if (at >= kHeadSizeMax) return {State::malformed};

    const std::string_view rest = bytes.substr(at);
    if (!rest.empty() && static_cast<std::uint8_t>(rest[0]) != kHandshakeRecord) {
      return {State::malformed};
    }
    if (rest.size() >= 2 && rest[1] != 3) return {State::malformed};
    if (rest.size() < kRecordHeadSize) return {State::more};
    Reader head(rest.substr(3));
    const std::size_t size = head.u16();
    if (size == 0 || size > kRecordSizeMax) return {State::malformed};
    const std::string_view payload = rest.substr(kRecordHeadSize, size);
    message += payload;
    // A record that is cut may hold the end of the message all the same: it is looked at once more.
    at = payload.size() < size ? bytes.size() : at + kRecordHeadSize + size;
  }
}

}  // namespace cellar::net
