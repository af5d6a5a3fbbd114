#include "net/proxy_request.h"

#include <boost/asio/ip/address.hpp>
#include <optional>

#include "base/port.h"
#include "base/text.h"
#include "net/http_head.h"
#include "net/name.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;
using Bad = BadProxyRequest;

constexpr std::uint16_t kDefaultHttpPort = 80;
constexpr std::string_view kScheme = "http://";

struct Authority {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Authority&) const = default;
};

// "example.com:8080", "[2001:db8::7]:80"; `default_port` 0: the port must be there.
std::optional<Authority> read_authority(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text.substr(0, text.find(':'));
  std::string_view rest = text.substr(host.size());
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  }
  std::uint16_t port = default_port;
  if (!rest.empty()) {
    const auto number = rest[0] == ':' ? parse_port(rest.substr(1)) : std::nullopt;
    if (!number) return std::nullopt;
    port = *number;
  }
  if (port == 0) return std::nullopt;
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(std::string(host), no_address);
  const bool in_brackets = text.starts_with('[');
  if (!no_address) {
    const bool is_plain = address.is_v4() || address.to_v6().scope_id() == 0;
    if (!is_plain || address.is_v6() != in_brackets) return std::nullopt;
    return Authority{address.to_string(), port};
  }
  auto name = normal_name(host);
  if (!name || in_brackets) return std::nullopt;
  return Authority{std::move(*name), port};
}

std::variant<ProxyRequest, Bad> read_forward(const HttpHead& head) {
  if (to_lower_ascii(head.target.substr(0, kScheme.size())) != kScheme) {
    return Bad{"This is a proxy: ask it for http://host/path, or CONNECT host:port."};
  }
  const std::string_view rest = head.target.substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::string_view path = rest.substr(authority.size());
  const auto to = read_authority(authority, kDefaultHttpPort);
  if (!to || path.find('#') != std::string_view::npos) return Bad{"The URL is malformed."};
  const BodyLength length = read_body_length(head.headers, head.version);
  if (length.is_ambiguous) return Bad{"The length of the request's body is ambiguous."};
  const auto sent_on = end_to_end(head.headers);
  if (!sent_on) return Bad{"\"Connection\" names a header that the server needs."};

  ProxyRequest request{.host = to->host, .port = to->port, .body = length.body};
  request.head = std::string(head.method) + " " + (path.starts_with('/') ? "" : "/") +
                 std::string(path) + " " + std::string(head.version) +
                 "\r\nHost: " + std::string(authority) + "\r\n";
  bool has_host = false;
  for (const auto& [name, value] : *sent_on) {
    if (to_lower_ascii(name) == "host") {
      if (has_host || read_authority(value, kDefaultHttpPort) != to) {
        return Bad{"The URL and \"Host\" name different hosts."};
      }
      has_host = true;
    } else {
      request.head += std::string(name) + ": " + std::string(value) + "\r\n";
    }
  }
  request.head += "Connection: close\r\n\r\n";
  return request;
}

}  // namespace

PeekedName peek_proxy_head(std::string_view bytes) {
  if (http_head_size(bytes) != 0) return {State::found};
  return {may_become_http_head(bytes) ? State::more : State::malformed};
}

std::variant<ProxyRequest, Bad> read_proxy_request(std::string_view bytes) {
  const auto head = read_http_head(bytes);
  if (!head) return Bad{"This is no HTTP/1 request."};
  if (head->method != "CONNECT") return read_forward(*head);
  const auto to = read_authority(head->target, 0);
  if (!to) return Bad{"CONNECT needs host:port."};
  const BodyLength length = read_body_length(head->headers, head->version);
  if (length.is_ambiguous || !length.body.has_ended()) return Bad{"CONNECT has no body."};
  return ProxyRequest{.is_connect = true, .host = to->host, .port = to->port};
}

}  // namespace cellar::net
