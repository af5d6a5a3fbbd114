#include "net/http_head.h"

#include <algorithm>

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
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}
bool is_bad_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7F;
}

bool read_request_line(std::string_view line, HttpHead& head) {
  const auto words = split(line, ' ');
  if (words.size() != 3 || !is_token(words[0]) || words[1].empty() ||
      (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")) {
    return false;
  }
  head.method = words[0];
  head.target = words[1];
  head.version = words[2];
  return true;
}

bool read_header(std::string_view line, HttpHead& head) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  head.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  return true;
}

}  // namespace

std::size_t http_head_size(std::string_view bytes) {
  const std::size_t end = bytes.substr(0, kHeadSizeMax).find(kHeadEnd);
  return end == std::string_view::npos ? 0 : end + kHeadEnd.size();
}

bool may_become_http_head(std::string_view bytes) {
  if (bytes.size() >= kHeadSizeMax) return false;
  const std::string_view method = bytes.substr(0, bytes.find(' '));
  return bytes.empty() || (is_token(method) && method.size() <= kMethodSizeMax);
}

std::optional<HttpHead> read_http_head(std::string_view bytes) {
  const std::size_t size = http_head_size(bytes);
  if (size == 0) return std::nullopt;
  std::string_view rest = bytes.substr(0, size - kHeadEnd.size());
  if (std::any_of(rest.begin(), rest.end(), is_bad_control)) return std::nullopt;
  HttpHead head;
  for (bool is_first = true; !rest.empty() || is_first; is_first = false) {
    const std::size_t end = std::min(rest.find(kLineEnd), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + kLineEnd.size()));
    if (line.find_first_of(kLineEnd) != std::string_view::npos) return std::nullopt;
    if (!(is_first ? read_request_line(line, head) : read_header(line, head))) return std::nullopt;
  }
  return head;
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
