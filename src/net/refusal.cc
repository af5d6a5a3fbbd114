#include "net/refusal.h"

#include <fmt/core.h>

namespace cellar::net {
namespace {

std::string_view explain(Why why) {
  switch (why) {
    case Why::not_listed:
      return "it is not on the cell's allow-list";
    case Why::denied:
      return "the cell's policy denies it";
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
    case Why::byte_limit:
      return "the cell has moved as many bytes as it may";
    case Why::rule:
      return "a rule of the cell's policy refuses the request";
    case Why::forward_not_listed:
      return "a rule forwards it to a host that the operator of this machine does not list";
    case Why::bad_certificate:
      return "the server's certificate is not that of this host, or nobody trusts it";
    case Why::secret_elsewhere:
      return "the secret whose placeholder was sent is not for this host, or not for this part "
             "of the cell";
    case Why::secret_in_clear:
      return "a secret's placeholder was sent without TLS";
    case Why::secret_misplaced:
      return "a secret's placeholder was sent in the URL or in a header's name, where values are "
             "not put in";
    case Why::secret_unknown:
      return "the placeholder that was sent stands for no secret of this cell (any more)";
    case Why::distrusted:
      return "the program does not trust the cell's own certificate authority";
    case Why::tls_failed:
      return "the program speaks no TLS 1.2 or later with HTTP/1.1";
    case Why::secret_echo:
      return "the server sent a secret's value back";
  }
  return "";
}

// What `allow` must have for it. Ports 80 and 443 need not be named, 53 is a question for a name.
std::string entry_for(const Refusal& refusal) {
  if (refusal.port == 80 || refusal.port == 443 || refusal.port == 53) return refusal.target;
  const bool is_v6 = refusal.target.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + refusal.target + "]" : refusal.target;
  return fmt::format("{}:{}", host, refusal.port);
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
    case Why::denied:
      return "denied";
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
    case Why::byte_limit:
      return "byte_limit";
    case Why::rule:
      return "rule";
    case Why::forward_not_listed:
      return "forward_not_listed";
    case Why::bad_certificate:
      return "bad_certificate";
    case Why::secret_elsewhere:
      return "secret_elsewhere";
    case Why::secret_in_clear:
      return "secret_in_clear";
    case Why::secret_misplaced:
      return "secret_misplaced";
    case Why::secret_unknown:
      return "secret_unknown";
    case Why::distrusted:
      return "distrusted";
    case Why::tls_failed:
      return "tls_failed";
    case Why::secret_echo:
      return "secret_echo";
  }
  return "unknown";
}

std::string remedy(const Refusal& refusal) {
  switch (refusal.why) {
    case Why::not_listed:
      return fmt::format(
          "To allow it, add \"{}\" to the cell's \"allow\" list: cellar network ID allow {}",
          entry_for(refusal), entry_for(refusal));
    case Why::denied:
      return fmt::format("To allow it, take \"{}\" off the cell's \"deny\" list", refusal.rule);
    case Why::private_address:
      return "To allow it, add the address itself to the cell's \"allow\" list";
    case Why::unknown_address:
      return "Resolve the name again";
    case Why::too_many_connections:
      return "To allow more, raise \"connections\" of the cell's network limits";
    case Why::byte_limit:
      return "To allow more, raise \"bytes\" of the cell's network limits";
    case Why::rule:
      return fmt::format("To allow it, change {} of the cell's network policy", refusal.rule);
    case Why::forward_not_listed:
      return fmt::format("To allow it, start cellard with --forward-to {}", entry_for(refusal));
    case Why::bad_certificate:
      return "Where the host is your own, start cellard with --egress-ca and the CA's certificate";
    case Why::secret_elsewhere:
      return fmt::format(
          "To allow it, add the host to \"hosts\" of the secret {}, or set its \"shell\"",
          refusal.rule);
    case Why::secret_in_clear:
      return "Use https://";
    case Why::secret_misplaced:
      return "Send it in a header";
    case Why::secret_unknown:
      return "Start the program again, so that it has the placeholders of now";
    case Why::distrusted:
      return "Let the program trust the certificates in $CELLAR_CA_FILE, too";
    case Why::tls_failed:
      return "Let the program offer HTTP/1.1 and TLS 1.2 or later";
    case Why::secret_echo:
      return "Do not use the secret with services that show what they are sent";
    case Why::name_mismatch:
    case Why::no_name:
    case Why::malformed:
      return "";
  }
  return "";
}

std::string refusal_response(const Refusal& refusal) {
  const std::string help = remedy(refusal);
  const std::string body = fmt::format("This cell may not reach {}: {}.\n{}", refusal.target,
                                       explain(refusal.why), help.empty() ? "" : help + ".\n");
  return text_response("403 Forbidden", body);
}

std::string unreachable_response(std::string_view target) {
  return text_response("502 Bad Gateway", fmt::format("{} cannot be reached.\n", target));
}

std::string no_answer_response(std::string_view target) {
  return text_response("502 Bad Gateway",
                       fmt::format("{} gave no answer that can be passed on.\n", target));
}

std::string bad_request_response(std::string_view why) {
  return text_response("400 Bad Request", fmt::format("{}\n", why));
}

std::string_view refusal_alert() noexcept {
  // Record: alert, TLS 1.2, two bytes: fatal, access_denied (49).
  return std::string_view("\x15\x03\x03\x00\x02\x02\x31", 7);
}

bool RefusalFilter::admits(const Refusal& refusal, Time now) {
  std::string key = fmt::format("{}:{} {}", refusal.target, refusal.port, to_string(refusal.why));
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
