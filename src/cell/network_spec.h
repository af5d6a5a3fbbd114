#pragma once

#include <optional>

#include "json/value.h"
#include "net/meter.h"
#include "net/policy.h"
#include "sandbox/spec.h"

namespace cellar::cell {

// What a cell may reach, and how much of it: a policy for both domains, or one of its own for each,
// and limits for both together.
struct NetworkSpec {
  net::PolicyText policy;
  std::optional<net::PolicyText> agent;  // where there is one, instead of `policy`
  std::optional<net::PolicyText> shell;
  net::Limits limits;

  const net::PolicyText& of(sandbox::DomainKind kind) const;
  bool operator==(const NetworkSpec&) const = default;
};

// "allow-all", "deny-all" or {allow?, deny?, presets?, rules?, agent?, shell?, limits?}: agent and
// shell are of the same form without the last three. Throws Error `invalid_argument`, naming the
// field or the entry, also for a policy that net::Policy would refuse.
NetworkSpec read_network(const json::Value& value);
// The object that read_network() reads.
json::Value to_json(const NetworkSpec& network);

// Throws Error `invalid_argument`, naming the entry.
void check(const NetworkSpec& network);
bool has_rules(const NetworkSpec& network);
// Throws Error `invalid_argument`, reason `invalid_rule`, for a rule that sends requests to a host
// which is not in `forwards`.
void check_forwards(const NetworkSpec& network, const net::Policy& forwards);

}  // namespace cellar::cell
