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

net::RuleText::Headers read_headers(const json::Reader& reader) {
  const auto headers = reader.optional_string_map("headers", net::Rules::kHeadersMax + 1);
  if (!headers) return {};
  return net::RuleText::Headers(headers->begin(), headers->end());
}

net::RuleText read_rule(const json::Value& value) {
  const json::Reader reader(value, "a rule of the network policy");
  net::RuleText rule;
  rule.host = reader.required_string("host");
  if (const auto match = reader.optional_object("match")) {
    rule.method = match->optional_string("method");
    rule.path = match->optional_string("path");
    match->refuse_unknown();
  }
  rule.headers = read_headers(reader);
  rule.forward = reader.optional_string("forward").value_or("");
  if (const auto respond = reader.optional_object("respond")) {
    net::RuleText::Response response;
    response.status = static_cast<int>(respond->required_int("status", 200, 599));
    response.headers = read_headers(*respond);
    response.body = respond->optional_string("body").value_or("");
    respond->refuse_unknown();
    rule.response = std::move(response);
  }
  reader.refuse_unknown();
  return rule;
}

net::PolicyText read_lists(const json::Reader& reader) {
  net::PolicyText policy;
  policy.allow = reader.optional_strings("allow", kListMax).value_or(std::vector<std::string>());
  policy.deny = reader.optional_strings("deny", kListMax).value_or(std::vector<std::string>());
  policy.presets =
      reader.optional_strings("presets", kListMax).value_or(std::vector<std::string>());
  if (const json::Value* rules = reader.optional_value("rules")) {
    if (!rules->is_array()) json::Reader::refuse("rules", "a list");
    for (const json::Value& rule : rules->as_array()) {
      if (policy.rules.size() > net::Rules::kRulesMax) break;  // net::Rules refuses them.
      policy.rules.push_back(read_rule(rule));
    }
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

json::Value headers_json(const net::RuleText::Headers& headers) {
  json::Object object;
  for (const auto& [name, text] : headers) object.set(name, text);
  return object;
}

json::Value rule_json(const net::RuleText& rule) {
  json::Value value = json::object({{"host", rule.host}});
  json::Object& members = value.as_object();
  json::Object match;
  if (rule.method) match.set("method", *rule.method);
  if (rule.path) match.set("path", *rule.path);
  if (!match.empty()) members.set("match", std::move(match));
  if (!rule.headers.empty()) members.set("headers", headers_json(rule.headers));
  if (!rule.forward.empty()) members.set("forward", rule.forward);
  if (rule.response) {
    members.set("respond", json::object({{"status", rule.response->status},
                                         {"headers", headers_json(rule.response->headers)},
                                         {"body", rule.response->body}}));
  }
  return value;
}

json::Value lists_json(const net::PolicyText& policy) {
  json::Value value = json::object({{"allow", list_json(policy.allow)},
                                    {"deny", list_json(policy.deny)},
                                    {"presets", list_json(policy.presets)}});
  if (policy.rules.empty()) return value;
  json::Array rules;
  for (const net::RuleText& rule : policy.rules) rules.push_back(rule_json(rule));
  value.as_object().set("rules", std::move(rules));
  return value;
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

bool has_rules(const NetworkSpec& network) {
  return !network.policy.rules.empty() || (network.agent && !network.agent->rules.empty()) ||
         (network.shell && !network.shell->rules.empty());
}

void check_forwards(const NetworkSpec& network, const net::Policy& forwards) {
  for (const auto& policy : {std::optional(network.policy), network.agent, network.shell}) {
    if (!policy) continue;
    const net::Rules rules = net::Rules::parse(policy->rules);
    for (const net::Rules::Rule& rule : rules.all()) {
      if (!rule.forward) continue;
      const net::Destination& to = rule.forward->to;
      if (forwards.judge_name(to.name, to.port).allows()) continue;
      const std::string host = to.name + ":" + std::to_string(to.port);
      throw Error(ErrorCode::invalid_argument, "invalid_rule",
                  rule.name() + " forwards to " + host +
                      ", which the operator of this machine does not list",
                  "start cellard with --forward-to " + host);
    }
  }
}

}  // namespace cellar::cell
