#include "net/request_head.h"

#include <algorithm>

#include "base/port.h"
#include "base/text.h"
#include "net/http_head.h"
#include "net/rules.h"

namespace cellar::net {
namespace {

constexpr std::string_view kUrlScheme = "http://";

bool names_host(std::string_view authority, const Destination& to) {
  const PeekedName said = read_http_authority(authority);
  if (said.state != PeekedName::State::found || said.name != to.name) return false;
  const std::size_t colon = authority.find(':');
  const std::uint16_t usual = to.by_tls ? 443 : 80;
  const std::string_view digits =
      colon == authority.npos ? std::string_view() : authority.substr(colon + 1);
  return (digits.empty() ? usual : parse_port(digits)) == to.port;
}

bool connection_says(const HeadLines& headers, std::string_view word) {
  for (const auto& [name, value] : headers) {
    if (to_lower_ascii(name) != "connection") continue;
    for (const std::string_view each : split(value, ',')) {
      if (to_lower_ascii(trim(each)) == word) return true;
    }
  }
  return false;
}

// One protocol, and not HTTP/2: more requests would come that nobody looks at.
std::string wanted_upgrade(const HttpHead& head) {
  if (head.version != "HTTP/1.1" || !connection_says(head.headers, "upgrade")) return {};
  std::string wanted;
  for (const auto& [name, value] : head.headers) {
    if (to_lower_ascii(name) != "upgrade") continue;
    if (!wanted.empty()) return {};
    wanted = to_lower_ascii(value);
  }
  return wanted == "websocket" ? wanted : std::string();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_unreserved(char c) {
  const int lower = c | 0x20;
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

void RequestHead::set(std::string_view name, std::string_view value) {
  const std::string lower = to_lower_ascii(name);
  std::erase_if(headers, [&](const auto& header) { return to_lower_ascii(header.first) == lower; });
  headers.emplace_back(name, value);
}

std::string RequestHead::text() const {
  std::string text = method + " " + target + " " + version + "\r\nHost: " + host + "\r\n";
  for (const auto& [name, value] : headers) text.append(name).append(": ").append(value) += "\r\n";
  if (!upgrade.empty()) {
    text += "Connection: Upgrade\r\nUpgrade: " + upgrade + "\r\n";
  } else if (!keeps_alive) {
    text += "Connection: close\r\n";
  }
  return text + "\r\n";
}

std::variant<RequestHead, BadRequest> read_request_head(std::string_view bytes,
                                                        const Destination& to) {
  const auto head = read_http_head(bytes);
  if (!head) return BadRequest{"This is no HTTP/1 request."};
  if (head->method == "CONNECT") return BadRequest{"CONNECT is for a proxy."};
  std::string_view target = head->target;
  if (to_lower_ascii(target.substr(0, kUrlScheme.size())) == kUrlScheme) {
    target.remove_prefix(kUrlScheme.size());
    const std::string_view authority = target.substr(0, target.find_first_of("/?#"));
    if (!names_host(authority, to))
      return BadRequest{"The URL names another host, or another port."};
    target.remove_prefix(authority.size());
  }
  const bool is_path = target.starts_with('/') || (target == "*" && head->method == "OPTIONS");
  if (!is_path || target.find('#') != std::string_view::npos) {
    return BadRequest{"The request's target is no path."};
  }
  const BodyLength length = read_body_length(head->headers, head->version);
  if (length.is_ambiguous) return BadRequest{"The length of the request's body is ambiguous."};
  const auto sent_on = end_to_end(head->headers);
  if (!sent_on) return BadRequest{"\"Connection\" names a header that the server needs."};
  RequestHead request{.method = std::string(head->method),
                      .target = std::string(target),
                      .version = std::string(head->version),
                      .body = length.body};
  for (const auto& [header, value] : *sent_on) {
    if (to_lower_ascii(header) != "host") {
      request.headers.emplace_back(header, value);
      continue;
    }
    if (!request.host.empty()) return BadRequest{"The request has more than one \"Host\"."};
    if (!names_host(value, to)) return BadRequest{"\"Host\" names another host, or another port."};
    request.host = value;
  }
  if (request.host.empty()) return BadRequest{"The request has no \"Host\"."};
  request.keeps_alive = head->version == "HTTP/1.1" && !connection_says(head->headers, "close");
  if (length.body.has_ended()) request.upgrade = wanted_upgrade(*head);
  return request;
}

namespace {

// Whether some server finds a part `.` or `..` in it: one that decodes slashes before it looks for
// them, or that takes what follows a `;` for parameters.
bool may_lead_up(std::string path) {
  for (const std::string_view slash : {"%2F", "%5C"}) {
    for (auto at = path.find(slash); at != path.npos; at = path.find(slash, at)) {
      path.replace(at, slash.size(), "/");
    }
  }
  for (std::string_view part : split(path, '/')) {
    part = part.substr(0, std::min(part.find(';'), part.find("%3B")));
    if (part == "." || part == "..") return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> plain_path(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::string path;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] != '%') {
      path.push_back(target[i]);
      continue;
    }
    const int high = i + 1 < target.size() ? hex_digit(target[i + 1]) : -1;
    const int low = i + 2 < target.size() ? hex_digit(target[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    const char c = static_cast<char>(high * 16 + low);
    if (is_unreserved(c)) {
      path.push_back(c);
    } else {
      path += {'%', "0123456789ABCDEF"[high], "0123456789ABCDEF"[low]};
    }
    i += 2;
  }
  if (path.find("//") != path.npos || path.find('\\') != path.npos) return std::nullopt;
  return may_lead_up(path) ? std::nullopt : std::optional(path);
}

}  // namespace cellar::net
