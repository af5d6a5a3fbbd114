#include "cell/network_spec.h"

#include "base/error.h"
#include "json/reader.h"

namespace cellar::cell {
namespace {

// More is refused by net::Policy, which says so in its own words; this bounds what is copied.
constexpr std::size_t kListMax = 1024;

[[noreturn]] void refuse(const std::string& name, std::string_view why) {
  throw Error(ErrorCode::invalid_argument, "invalid_network",
              "\"" + name + "\" " + std::string(why),
              "write \"allow-all\", \"deny-all\" or {\"allow\": [...], \"deny\": [...]}");
}

net::PolicyText read_lists(const json::Reader& reader) {
  net::PolicyText policy;
  policy.allow = reader.optional_strings("allow", kListMax).value_or(std::vector<std::string>());
  policy.deny = reader.optional_strings("deny", kListMax).value_or(std::vector<std::string>());
  policy.presets =
      reader.optional_strings("presets", kListMax).value_or(std::vector<std::string>());
  if (reader.optional_value("rules") != nullptr) {
    refuse("rules",
           "for single requests are not enforced by this daemon, and what is not enforced is not "
           "accepted: a policy names hosts and ports");
  }
  return policy;
}

std::optional<net::PolicyText> read_word(const json::Value& value, const std::string& name) {
  if (!value.is_string()) return std::nullopt;
  if (value.as_string() == "deny-all") return net::PolicyText();
  if (value.as_string() == "allow-all") return net::PolicyText{.allow = {"*"}};
  refuse(name, "must be \"allow-all\", \"deny-all\" or an object");
}

std::optional<net::PolicyText> read_domain(const json::Reader& outer, const std::string& name) {
  const json::Value* value = outer.optional_value(name);
  if (value == nullptr) return std::nullopt;
  if (auto word = read_word(*value, name)) return word;
  const json::Reader reader = *outer.optional_object(name);
  net::PolicyText policy = read_lists(reader);
  reader.refuse_unknown();
  return policy;
}

net::Limits read_limits(const json::Reader& reader) {
  net::Limits limits;
  if (const auto count = reader.optional_int(
          "connections", 1, static_cast<std::int64_t>(net::Limits::kConnectionsMax))) {
    limits.connections = static_cast<std::size_t>(*count);
  }
  limits.bytes_per_s = reader.optional_int(
      "bytes_per_s", static_cast<std::int64_t>(net::Limits::kBytesPerSecondMin), INT64_MAX);
  limits.bytes = reader.optional_int("bytes", 0, INT64_MAX);
  reader.refuse_unknown();
  return limits;
}

json::Value list_json(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

json::Value lists_json(const net::PolicyText& policy) {
  return json::object({{"allow", list_json(policy.allow)},
                       {"deny", list_json(policy.deny)},
                       {"presets", list_json(policy.presets)}});
}

json::Value limits_json(const net::Limits& limits) {
  json::Value value = json::object({{"connections", limits.connections}});
  if (limits.bytes_per_s) value.as_object().set("bytes_per_s", *limits.bytes_per_s);
  if (limits.bytes) value.as_object().set("bytes", *limits.bytes);
  return value;
}

}  // namespace

const net::PolicyText& NetworkSpec::of(sandbox::DomainKind kind) const {
  const auto& own = kind == sandbox::DomainKind::agent ? agent : shell;
  return own ? *own : policy;
}

NetworkSpec read_network(const json::Value& value) {
  NetworkSpec network;
  if (auto word = read_word(value, "network")) {
    network.policy = *std::move(word);
    return network;
  }
  if (!value.is_object()) refuse("network", "must be \"allow-all\", \"deny-all\" or an object");
  const json::Reader reader(value, "the network policy");
  network.policy = read_lists(reader);
  network.agent = read_domain(reader, "agent");
  network.shell = read_domain(reader, "shell");
  if (const auto limits = reader.optional_object("limits")) network.limits = read_limits(*limits);
  reader.refuse_unknown();
  check(network);
  return network;
}

json::Value to_json(const NetworkSpec& network) {
  json::Value value = lists_json(network.policy);
  json::Object& members = value.as_object();
  if (network.agent) members.set("agent", lists_json(*network.agent));
  if (network.shell) members.set("shell", lists_json(*network.shell));
  members.set("limits", limits_json(network.limits));
  return value;
}

void check(const NetworkSpec& network) {
  net::Policy::parse(network.policy);
  if (network.agent) net::Policy::parse(*network.agent);
  if (network.shell) net::Policy::parse(*network.shell);
}

}  // namespace cellar::cell
