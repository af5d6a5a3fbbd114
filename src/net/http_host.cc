#include "net/http_host.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "net/name.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kMethodSizeMax = 32;

bool is_alpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_token_char(char c) {
  return is_alpha(c) || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}
bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

// "example.com:8080" -> found example.com; "" and addresses -> none.
PeekedName read_host(std::string_view text) {
  if (text.empty() || text.starts_with('[')) return {State::none};
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(port.begin(), port.end(), is_digit)) return {State::malformed};
  if (auto name = normal_name(host)) return {State::found, std::move(*name)};
  const auto is_address_char = [&](char c) { return is_digit(c) || c == '.'; };
  const bool is_address = std::all_of(host.begin(), host.end(), is_address_char);
  return {!host.empty() && is_address ? State::none : State::malformed};
}

// What the request line says of the host; nullopt where its target is a path.
std::optional<PeekedName> read_request_line(std::string_view line) {
  const auto words = split(line, ' ');
  if (words.size() != 3 || !is_token(words[0]) || words[1].empty() ||
      (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")) {
    return PeekedName{State::malformed};
  }
  const std::string_view target = words[1];
  if (words[0] == "CONNECT") return read_host(target);
  if (target.starts_with('/') || (target == "*" && words[0] == "OPTIONS")) return std::nullopt;
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos ||
      to_lower_ascii(target.substr(0, scheme_end)) != "http") {
    return PeekedName{State::malformed};
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  return read_host(rest.substr(0, rest.find_first_of("/?#")));
}

PeekedName read_head(std::string_view head) {
  if (std::any_of(head.begin(), head.end(),
                  [](char c) { return is_control(c) && c != '\r' && c != '\n'; })) {
    return {State::malformed};
  }
  std::optional<PeekedName> of_target;
  std::optional<PeekedName> of_header;
  for (bool is_first = true; !head.empty(); is_first = false) {
    const std::size_t end = std::min(head.find(kLineEnd), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(head.size(), end + kLineEnd.size()));
    if (line.find_first_of(kLineEnd) != std::string_view::npos) return {State::malformed};
    if (is_first) {
      of_target = read_request_line(line);
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return {State::malformed};
    }
    if (to_lower_ascii(line.substr(0, colon)) != "host") continue;
    if (of_header) return {State::malformed};
    of_header = read_host(trim(line.substr(colon + 1)));
  }
  if (of_target && of_target->state == State::malformed) return *of_target;
  if (!of_target) return of_header.value_or(PeekedName{State::none});
  if (!of_header) return *of_target;
  const bool agree = of_target->state == of_header->state && of_target->name == of_header->name;
  return agree ? *of_target : PeekedName{State::malformed};
}

// Whether a request may begin like this: tells other protocols from a head that is not whole yet.
bool may_begin_request(std::string_view bytes) {
  const std::size_t space = bytes.find(' ');
  const std::string_view method = bytes.substr(0, space);
  return bytes.empty() || (is_token(method) && method.size() <= kMethodSizeMax);
}

}  // namespace

PeekedName peek_http_host(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, kHeadSizeMax);
  const std::size_t end = head.find("\r\n\r\n");
  if (end != std::string_view::npos) return read_head(head.substr(0, end));
  if (!may_begin_request(head) || bytes.size() >= kHeadSizeMax) return {State::malformed};
  return {State::more};
}

}  // namespace cellar::net
