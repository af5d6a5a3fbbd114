#include "net/http_head.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "net/name.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kMethodSizeMax = 32;

bool is_alpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_token_char(char c) {
  return is_alpha(c) || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_bad_control(char c) { return is_control(c) && c != '\t' && c != '\r' && c != '\n'; }

bool read_request_line(std::string_view line, HttpHead& head) {
  const auto words = split(line, ' ');
  if (words.size() != 3 || !is_http_token(words[0]) || words[1].empty() ||
      (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")) {
    return false;
  }
  head.method = words[0];
  head.target = words[1];
  head.version = words[2];
  return true;
}

// "HTTP/1.1 200 OK"; the reason may be empty, and the space before it missing then.
bool read_status_line(std::string_view line, HttpAnswer& answer) {
  answer.version = line.substr(0, line.find(' '));
  if (answer.version != "HTTP/1.1" && answer.version != "HTTP/1.0") return false;
  line.remove_prefix(std::min(line.size(), answer.version.size() + 1));
  const std::string_view status = line.substr(0, line.find(' '));
  const auto number = status.size() == 3 ? parse_int(status) : std::nullopt;
  if (!number || *number < 100 || *number > 599) return false;
  answer.status = static_cast<int>(*number);
  answer.reason = trim(line.substr(status.size()));
  return true;
}

bool read_header(std::string_view line, HeadLines& headers) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_http_token(line.substr(0, colon))) return false;
  headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  return true;
}

// Whether all lines of the head that `bytes` begin with are read: the first one by `read_first`.
template <typename ReadFirst>
bool read_lines(std::string_view bytes, ReadFirst read_first, HeadLines& headers) {
  const std::size_t size = http_head_size(bytes);
  if (size == 0) return false;
  std::string_view rest = bytes.substr(0, size - kHeadEnd.size());
  if (std::any_of(rest.begin(), rest.end(), is_bad_control)) return false;
  for (bool is_first = true; !rest.empty() || is_first; is_first = false) {
    const std::size_t end = std::min(rest.find(kLineEnd), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + kLineEnd.size()));
    if (line.find_first_of(kLineEnd) != std::string_view::npos) return false;
    if (!(is_first ? read_first(line) : read_header(line, headers))) return false;
  }
  return true;
}

bool says_length(std::string_view lower_case_name) {
  return lower_case_name == "content-length" || lower_case_name == "transfer-encoding";
}

constexpr std::array<std::string_view, 8> kForNeighbours = {"connection",
                                                            "proxy-connection",
                                                            "proxy-authorization",
                                                            "proxy-authenticate",
                                                            "keep-alive",
                                                            "upgrade",
                                                            "te",
                                                            "http2-settings"};

}  // namespace

bool is_http_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::size_t http_head_size(std::string_view bytes) {
  const std::size_t end = bytes.substr(0, kHeadSizeMax).find(kHeadEnd);
  return end == std::string_view::npos ? 0 : end + kHeadEnd.size();
}

bool may_become_http_head(std::string_view bytes) {
  if (bytes.size() >= kHeadSizeMax) return false;
  const std::string_view method = bytes.substr(0, bytes.find(' '));
  return bytes.empty() || (is_http_token(method) && method.size() <= kMethodSizeMax);
}

std::optional<HttpHead> read_http_head(std::string_view bytes) {
  HttpHead head;
  const auto read_first = [&](std::string_view line) { return read_request_line(line, head); };
  if (!read_lines(bytes, read_first, head.headers)) return std::nullopt;
  return head;
}

std::optional<HttpAnswer> read_http_answer(std::string_view bytes) {
  HttpAnswer answer;
  const auto read_first = [&](std::string_view line) { return read_status_line(line, answer); };
  if (!read_lines(bytes, read_first, answer.headers)) return std::nullopt;
  return answer;
}

BodyLength read_body_length(const HeadLines& headers, std::string_view version) {
  BodyLength length;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (const auto& [name, value] : headers) {
    const std::string lower = to_lower_ascii(name);
    if (!says_length(lower)) continue;
    if (length.is_said) return {.is_ambiguous = true};
    length.is_said = true;
    if (lower == "transfer-encoding") {
      if (to_lower_ascii(value) != "chunked" || version != "HTTP/1.1") {
        return {.is_ambiguous = true};
      }
      length.body = RequestBody::chunked();
      continue;
    }
    const auto bytes = parse_int(value);
    if (!bytes || !std::all_of(value.begin(), value.end(), is_digit)) {
      return {.is_ambiguous = true};
    }
    length.is_counted = true;
    length.body = RequestBody::of_length(static_cast<std::uint64_t>(*bytes));
  }
  return length;
}

std::optional<HeadLines> end_to_end(const HeadLines& headers) {
  std::vector<std::string> named;  // by Connection, lower case
  for (const auto& [name, value] : headers) {
    if (to_lower_ascii(name) != "connection") continue;
    for (const std::string_view word : split(value, ',')) {
      named.push_back(to_lower_ascii(trim(word)));
      if (says_length(named.back()) || named.back() == "host") return std::nullopt;
    }
  }
  HeadLines kept;
  for (const auto& header : headers) {
    const std::string lower = to_lower_ascii(header.first);
    const bool drops =
        std::find(kForNeighbours.begin(), kForNeighbours.end(), lower) != kForNeighbours.end() ||
        std::find(named.begin(), named.end(), lower) != named.end();
    if (!drops) kept.push_back(header);
  }
  return kept;
}

PeekedName read_http_authority(std::string_view text) {
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

}  // namespace cellar::net
