#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/host_pattern.h"

namespace cellar::net {

// A rule as it is written: what is done with a request to `host`, or with those that match.
struct RuleText {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  struct Response {
    int status = 200;
    Headers headers;
    std::string body;
    bool operator==(const Response&) const = default;
  };

  std::string host;  // a HostPattern; without a port 80 and 443
  std::optional<std::string> method;
  std::optional<std::string> path;   // "/v1/models", "/v1/*": this, and what begins so
  Headers headers;                   // set on the way out
  std::string forward;               // the base URL that it is sent to instead
  std::optional<Response> response;  // given instead of sending it
  bool operator==(const RuleText&) const = default;
};

// Where a request goes.
struct Destination {
  std::string name;  // normal (name.h)
  std::uint16_t port = 0;
  bool by_tls = false;
  bool operator==(const Destination&) const = default;
};

// The rules of a policy, parsed. A value; no I/O. The first that fits decides; a request that none
// fits is sent as it is.
class Rules {
 public:
  static constexpr std::size_t kRulesMax = 64;
  static constexpr std::size_t kHeadersMax = 16;
  static constexpr std::size_t kHeaderBytesMax = 8 << 10;  // a name and its value
  static constexpr std::size_t kBodyBytesMax = 64 << 10;

  struct Rule {
    RuleText text;
    HostPattern host;
    struct Forward {
      Destination to;
      std::string authority;  // as it was written, for Host
      std::string base;       // of paths: "", "/v1"
      bool operator==(const Forward&) const = default;
    };
    std::optional<Forward> forward;
    std::size_t number = 0;  // of it in the list, from 1 on

    // "rule 2 (POST api.example.com/v1/*)".
    std::string name() const;
  };

  // Throws Error `invalid_argument`, reason `invalid_rule`, naming the rule.
  static Rules parse(const std::vector<RuleText>& texts);

  // Whether requests to it are looked at.
  bool covers(std::string_view name, std::uint16_t port) const;
  bool empty() const noexcept { return rules_.empty(); }
  const std::vector<Rule>& all() const noexcept { return rules_; }

  struct Answer {
    const Rule* rule = nullptr;      // lives as long as these rules
    bool is_path_ambiguous = false;  // and a rule of the host looks at paths: nothing may be sent
  };
  // For a request to a name that covers() says yes to; `target` as it was sent.
  Answer first(std::string_view name, std::uint16_t port, std::string_view method,
               std::string_view target) const;

 private:
  std::vector<Rule> rules_;
};

}  // namespace cellar::net
