#include "net/http_host.h"

#include <optional>

#include "base/text.h"
#include "net/http_head.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;

// What the request line says of the host; nullopt where its target is a path.
std::optional<PeekedName> read_target(const HttpHead& head) {
  const std::string_view target = head.target;
  if (head.method == "CONNECT") return read_http_authority(target);
  if (target.starts_with('/') || (target == "*" && head.method == "OPTIONS")) return std::nullopt;
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos ||
      to_lower_ascii(target.substr(0, scheme_end)) != "http") {
    return PeekedName{State::malformed};
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  return read_http_authority(rest.substr(0, rest.find_first_of("/?#")));
}

PeekedName read_host(std::string_view bytes) {
  const auto head = read_http_head(bytes);
  if (!head) return {State::malformed};
  std::optional<PeekedName> of_header;
  for (const auto& [name, value] : head->headers) {
    if (to_lower_ascii(name) != "host") continue;
    if (of_header) return {State::malformed};
    of_header = read_http_authority(value);
  }
  const std::optional<PeekedName> of_target = read_target(*head);
  if (of_target && of_target->state == State::malformed) return *of_target;
  if (!of_target) return of_header.value_or(PeekedName{State::none});
  if (!of_header) return *of_target;
  const bool agree = of_target->state == of_header->state && of_target->name == of_header->name;
  return agree ? *of_target : PeekedName{State::malformed};
}

}  // namespace

PeekedName peek_http_host(std::string_view bytes) {
  if (http_head_size(bytes) != 0) return read_host(bytes);
  return {may_become_http_head(bytes) ? State::more : State::malformed};
}

}  // namespace cellar::net
