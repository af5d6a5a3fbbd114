#include "http/head.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/text.h"

namespace cellar::http {
namespace {

constexpr std::array<std::string_view, 9> kBetweenNeighbours = {
    "connection",     "keep-alive",      "te", "trailer", "transfer-encoding", "upgrade", "expect",
    "content-length", "proxy-connection"};

bool is_named(const std::string& name, std::string_view lower_case_name) {
  return name.size() == lower_case_name.size() && to_lower_ascii(name) == lower_case_name;
}

std::size_t count_of(const Fields& fields, std::string_view lower_case_name) {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(),
                    [&](const auto& field) { return is_named(field.first, lower_case_name); }));
}

// The text goes into JSON as it is: it has no quotes in it, and nothing of the request.
[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "ambiguous_request", "the request is refused: " + why);
}

// The tokens of all Connection fields, in lower case.
std::vector<std::string> connection_tokens(const Fields& fields) {
  std::vector<std::string> tokens;
  for (const auto& [name, value] : fields) {
    if (!is_named(name, "connection")) continue;
    for (const std::string_view token : split(value, ',')) {
      tokens.push_back(to_lower_ascii(trim(token)));
    }
  }
  return tokens;
}

}  // namespace

std::string_view first(const Fields& fields, std::string_view lower_case_name) noexcept {
  for (const auto& [name, value] : fields) {
    if (is_named(name, lower_case_name)) return value;
  }
  return {};
}

void remove(Fields& fields, std::string_view lower_case_name) {
  std::erase_if(fields, [&](const auto& field) { return is_named(field.first, lower_case_name); });
}

void check_head(std::string_view target, const Fields& fields, unsigned version) {
  if (!target.starts_with("/")) refuse("its target is no path");
  const std::size_t host_count = count_of(fields, "host");
  if (host_count > 1 || (host_count == 0 && version >= 11)) refuse("it must have one Host");
  const std::size_t length_count = count_of(fields, "content-length");
  const std::string_view length = first(fields, "content-length");
  const bool is_number = !length.empty() && std::all_of(length.begin(), length.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
  if (length_count > 1) refuse("it has more than one Content-Length");
  if (length_count == 1 && !is_number) refuse("its Content-Length is no number");
  const std::size_t encoding_count = count_of(fields, "transfer-encoding");
  if (encoding_count == 0) return;
  if (version < 11) refuse("HTTP/1.0 has no Transfer-Encoding");
  if (length_count > 0) refuse("it has a Content-Length and a Transfer-Encoding");
  const std::string encoding = to_lower_ascii(first(fields, "transfer-encoding"));
  if (encoding_count > 1 || encoding != "chunked") {
    refuse("its Transfer-Encoding is not chunked");
  }
}

Fields end_to_end(const Fields& fields) {
  const std::vector<std::string> named = connection_tokens(fields);
  Fields kept;
  for (const auto& field : fields) {
    const std::string name = to_lower_ascii(field.first);
    const bool drops = std::find(kBetweenNeighbours.begin(), kBetweenNeighbours.end(), name) !=
                           kBetweenNeighbours.end() ||
                       name.starts_with("proxy-") ||
                       std::find(named.begin(), named.end(), name) != named.end();
    if (!drops || name == "host") kept.push_back(field);
  }
  return kept;
}

std::string chunk_start(std::size_t bytes) {
  char size[32];
  const int digits = std::snprintf(size, sizeof size, "%zx\r\n", bytes);
  return {size, static_cast<std::size_t>(digits)};
}

std::string chunk_of(std::string bytes) {
  bytes.insert(0, chunk_start(bytes.size()));
  return bytes += kChunkEnd;
}

std::string upgrade_of(const Fields& fields) {
  const std::vector<std::string> tokens = connection_tokens(fields);
  if (std::find(tokens.begin(), tokens.end(), "upgrade") == tokens.end()) return {};
  const std::string_view wanted = trim(first(fields, "upgrade"));
  if (wanted.find(',') != wanted.npos || count_of(fields, "upgrade") > 1) return {};
  return to_lower_ascii(wanted).starts_with("h2") ? std::string() : std::string(wanted);
}

void check_web_socket(const Fields& fields) {
  constexpr std::size_t kKeySize = 24;  // 16 bytes in base64
  const auto refuse_header = [](const char* why) {
    throw Error(ErrorCode::invalid_argument, "invalid_header", why);
  };
  if (count_of(fields, "sec-websocket-version") != 1 ||
      trim(first(fields, "sec-websocket-version")) != "13") {
    refuse_header("Sec-WebSocket-Version must be 13");
  }
  if (count_of(fields, "sec-websocket-key") != 1 ||
      trim(first(fields, "sec-websocket-key")).size() != kKeySize) {
    refuse_header("Sec-WebSocket-Key must be 16 bytes in base64");
  }
}

Response refusal(int status, std::string_view code, std::string_view text) {
  Response response{.status = status};
  const bool is_retryable = status == 503;
  response.body = "{\"error\":\"" + std::string(text) + "\",\"code\":\"" + std::string(code) +
                  "\",\"retryable\":" + (is_retryable ? "true" : "false") +
                  ",\"request_id\":\"-\"}";
  if (is_retryable) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace cellar::http
