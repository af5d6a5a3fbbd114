#include "net/refusal.h"

#include <fmt/core.h>

namespace cellar::net {
namespace {

std::string_view explain(Why why) {
  switch (why) {
    case Why::not_listed:
      return "it is not on the cell's allow-list";
    case Why::unknown_address:
      return "this address stands for no name any more: resolve it again";
    case Why::name_mismatch:
      return "the connection was opened for another name";
    case Why::no_name:
      return "the request names no host";
    case Why::malformed:
      return "this is no plain HTTP/1 request";
    case Why::private_address:
      return "the name leads to an address of a private network";
    case Why::too_many_connections:
      return "the cell has too many connections";
  }
  return "";
}

std::string remedy(const Refusal& refusal) {
  switch (refusal.why) {
    case Why::not_listed: {
      const std::string entry =
          refusal.port == 80 ? refusal.target : fmt::format("{}:{}", refusal.target, refusal.port);
      return fmt::format("To allow it, add \"{}\" to the cell's \"allow\" list.\n", entry);
    }
    case Why::private_address:
      return "To allow it, add the address itself to the cell's \"allow\" list.\n";
    default:
      return "";
  }
}

std::string text_response(std::string_view status, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      status, body.size(), body);
}

}  // namespace

std::string_view to_string(Why why) noexcept {
  switch (why) {
    case Why::not_listed:
      return "not_listed";
    case Why::unknown_address:
      return "unknown_address";
    case Why::name_mismatch:
      return "name_mismatch";
    case Why::no_name:
      return "no_name";
    case Why::malformed:
      return "malformed";
    case Why::private_address:
      return "private_address";
    case Why::too_many_connections:
      return "too_many_connections";
  }
  return "unknown";
}

std::string refusal_response(const Refusal& refusal) {
  const std::string body = fmt::format("This cell may not reach {}: {}.\n{}", refusal.target,
                                       explain(refusal.why), remedy(refusal));
  return text_response("403 Forbidden", body);
}

std::string unreachable_response(std::string_view target) {
  return text_response("502 Bad Gateway", fmt::format("{} cannot be reached.\n", target));
}

std::string_view refusal_alert() noexcept {
  // Record: alert, TLS 1.2, two bytes: fatal, access_denied (49).
  return std::string_view("\x15\x03\x03\x00\x02\x02\x31", 7);
}

bool RefusalFilter::admits(const Refusal& refusal, Time now) {
  std::string key = fmt::format("{}:{}", refusal.target, refusal.port);
  const auto found = told_.find(key);
  if (found != told_.end()) {
    if (now - found->second < kPause) return false;
    found->second = now;
    return true;
  }
  if (told_.size() >= kToldMax) {
    std::erase_if(told_, [&](const auto& entry) { return now - entry.second >= kPause; });
  }
  if (told_.size() >= kToldMax) return false;
  told_.emplace(std::move(key), now);
  return true;
}

}  // namespace cellar::net
