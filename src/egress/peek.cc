#include "egress/peek.h"

#include <optional>

#include "base/text.h"
#include "egress/policy.h"

namespace cellar::egress {
namespace {

using Kind = Peek::Kind;

// Big-endian fields of bytes that somebody else wrote. Once something was missing ok() is false.
class Fields {
 public:
  explicit Fields(std::string_view bytes) noexcept : rest_(bytes) {}
  std::size_t number(std::size_t width) noexcept {
    if (rest_.size() < width) return fail();
    std::size_t value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      value = value << 8 | static_cast<unsigned char>(rest_[i]);
    }
    rest_.remove_prefix(width);
    return value;
  }
  std::string_view bytes(std::size_t size) noexcept {
    if (rest_.size() < size) {
      fail();
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  bool ok() const noexcept { return ok_; }
  bool empty() const noexcept { return rest_.empty(); }

 private:
  std::size_t fail() noexcept {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

constexpr unsigned char kHandshakeRecord = 22;
constexpr std::size_t kRecordBytesMax = 16384 + 256;
constexpr std::size_t kClientHello = 1;
constexpr std::size_t kServerNameExtension = 0;

Peek server_name(std::string_view extension) {
  Fields fields(extension);
  Fields names(fields.bytes(fields.number(2)));
  const std::size_t type = names.number(1);
  const std::string_view name = names.bytes(names.number(2));
  if (!fields.ok() || !names.ok() || type != 0 || !is_host_name(name)) {
    return {Kind::malformed, {}};
  }
  return {Kind::named, std::string(name)};
}

Peek in_client_hello(std::string_view hello) {
  Fields fields(hello);
  fields.bytes(2 + 32);            // version, random
  fields.bytes(fields.number(1));  // session
  fields.bytes(fields.number(2));  // ciphers
  fields.bytes(fields.number(1));  // compressions
  if (!fields.ok()) return {Kind::malformed, {}};
  if (fields.empty()) return {Kind::unnamed, {}};
  Fields extensions(fields.bytes(fields.number(2)));
  while (fields.ok() && !extensions.empty()) {
    const std::size_t type = extensions.number(2);
    const std::string_view body = extensions.bytes(extensions.number(2));
    if (!extensions.ok()) break;
    if (type == kServerNameExtension) return server_name(body);
  }
  return {fields.ok() && extensions.ok() ? Kind::unnamed : Kind::malformed, {}};
}

// The host of "name", "name:80", "[::1]:80".
std::string_view without_port(std::string_view host) {
  if (host.starts_with("[")) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

// The host of an absolute target; nullopt for one that begins with '/' or is '*'.
std::optional<std::string_view> host_of_target(std::string_view method, std::string_view target) {
  if (method == "CONNECT") return without_port(target);
  const std::size_t scheme = target.find("://");
  if (target.starts_with("/") || scheme == std::string_view::npos) return std::nullopt;
  const std::string_view rest = target.substr(scheme + 3);
  return without_port(rest.substr(0, rest.find_first_of("/?#")));
}

}  // namespace

Peek peek_tls(std::string_view bytes) {
  std::string handshake;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    if (static_cast<unsigned char>(rest[0]) != kHandshakeRecord) return {Kind::malformed, {}};
    if (rest.size() < 5) break;
    Fields head(rest.substr(3, 2));
    const std::size_t size = head.number(2);
    if (size > kRecordBytesMax || size == 0) return {Kind::malformed, {}};
    handshake.append(rest.substr(5, size));
    rest.remove_prefix(std::min(rest.size(), 5 + size));
  }
  if (!handshake.empty() && static_cast<unsigned char>(handshake[0]) != kClientHello) {
    return {Kind::malformed, {}};
  }
  Fields fields(handshake);
  fields.number(1);
  const std::size_t size = fields.number(3);
  const std::string_view hello = fields.bytes(size);
  if (fields.ok()) return in_client_hello(hello);
  return {bytes.size() >= kPeekBytesMax ? Kind::malformed : Kind::need_more, {}};
}

Peek peek_http(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return {bytes.size() >= kPeekBytesMax ? Kind::malformed : Kind::need_more, {}};
  }
  const auto lines = split(bytes.substr(0, end), '\n');
  const auto words = split(trim(lines[0]), ' ');
  if (words.size() != 3 || !words[2].starts_with("HTTP/1.")) return {Kind::malformed, {}};
  std::optional<std::string> host;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::size_t colon = lines[i].find(':');
    if (colon == std::string_view::npos) return {Kind::malformed, {}};
    if (to_lower_ascii(lines[i].substr(0, colon)) != "host") continue;
    if (host) return {Kind::malformed, {}};  // Two of them: servers disagree on which counts.
    host = std::string(without_port(trim(lines[i].substr(colon + 1))));
  }
  const auto target = host_of_target(words[0], words[1]);
  if (target && host && normal_name(*target) != normal_name(*host)) return {Kind::malformed, {}};
  if (!host && target) host = std::string(*target);
  if (!host || host->empty()) return {Kind::unnamed, {}};
  return {Kind::named, std::move(*host)};
}

}  // namespace cellar::egress
