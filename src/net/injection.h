#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/host_pattern.h"
#include "net/placeholder.h"
#include "net/refusal.h"
#include "net/request_head.h"
#include "net/rules.h"

namespace cellar::net {

// A secret that is put into requests on their way out.
struct BoundSecret {
  std::string name;
  std::string placeholder;
  std::string value;
  std::vector<HostPattern> hosts;  // without a port: 443
  std::string header;              // set with the value in each request; empty: none
  bool is_here = true;             // requests of this domain may use it

  bool is_for(std::string_view host, std::uint16_t port) const;
};

// The most secrets that one host has: all of them are looked for in each piece that comes from it.
std::size_t most_of_one_host(const std::vector<BoundSecret>& secrets);

// The secrets of a domain's way out. Immutable; shared by its connections, each of which asks for
// the newest at every request.
class Injection {
 public:
  Injection() = default;
  explicit Injection(std::vector<BoundSecret> secrets);

  bool empty() const noexcept { return secrets_.empty(); }
  // Whether TLS to it has to be opened here.
  bool covers(std::string_view host, std::uint16_t port) const;

  // Puts the values in: in place of placeholders in headers (also in the user and password of
  // "Authorization: Basic"), and as the headers that secrets are to be. Where the request has a
  // placeholder that it must not have there, nothing is changed, and the answer is the refusal: it
  // is for a secret of other hosts, or of the other domain, in a request without TLS, or in what is
  // not a header's value.
  std::optional<Refusal> put_in(RequestHead& head, const Destination& to) const;
  // The same for bytes that are sent as they are, without TLS.
  std::optional<Refusal> judge_clear(std::string_view bytes, std::string_view host,
                                     std::uint16_t port) const;
  Refusal refusal_of(std::string_view placeholder, std::string_view host, std::uint16_t port) const;
  // What must not come back from there.
  SoughtValues values_for(const Destination& to) const;

 private:
  const BoundSecret* find(std::string_view placeholder) const;
  // Puts values in place of all placeholders in `text`.
  std::optional<Refusal> replace(std::string& text, const Destination& to) const;
  std::optional<Refusal> replace_in_header(std::string_view name, std::string& value,
                                           const Destination& to) const;

  std::vector<BoundSecret> secrets_;
  SoughtValues values_;  // of secrets_, in their order
};

}  // namespace cellar::net
