#include "net/rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "net/http_head.h"
#include "net/request_head.h"

namespace cellar::net {
namespace {

constexpr std::uint16_t kRuleHttpPort = 80;
constexpr std::uint16_t kRuleTlsPort = 443;
constexpr std::size_t kRuleTextMax = 2048;  // a path, a URL

// They say where a request goes, where its body ends, or what is between two neighbours.
constexpr std::array<std::string_view, 10> kNotToBeSet = {
    "host", "content-length", "transfer-encoding", "connection",    "upgrade", "trailer",
    "te",   "expect",         "keep-alive",        "http2-settings"};

[[noreturn]] void refuse_rule(std::size_t number, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "invalid_rule",
              fmt::format("rule {} of the network policy: {}", number, why),
              "write {\"host\", \"match\": {\"method\", \"path\"}, and of \"headers\", "
              "\"forward\" and \"respond\" what is to be done}");
}

bool is_plain_text(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return is_control(c) && c != '\t'; });
}

void check_headers(std::size_t number, const RuleText::Headers& headers) {
  if (headers.size() > Rules::kHeadersMax) {
    refuse_rule(number, fmt::format("at most {} headers", Rules::kHeadersMax));
  }
  for (const auto& [name, value] : headers) {
    const std::string lower = to_lower_ascii(name);
    if (!is_http_token(name)) refuse_rule(number, "\"" + name + "\" is no name of a header");
    const bool is_kept =
        lower.starts_with("proxy-") ||
        std::find(kNotToBeSet.begin(), kNotToBeSet.end(), lower) != kNotToBeSet.end();
    if (is_kept) refuse_rule(number, "the header \"" + name + "\" cannot be set");
    if (!is_plain_text(value) || name.size() + value.size() > Rules::kHeaderBytesMax) {
      refuse_rule(number, fmt::format("the header \"{}\" must be one line of at most {} bytes",
                                      name, Rules::kHeaderBytesMax));
    }
  }
}

Rules::Rule::Forward read_forward_url(std::size_t number, std::string_view url) {
  const bool by_tls = url.starts_with("https://");
  if (!by_tls && !url.starts_with("http://")) {
    refuse_rule(number, "\"forward\" must be an http:// or https:// URL");
  }
  url.remove_prefix(by_tls ? 8 : 7);
  const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  std::string_view base = url.substr(authority.size());
  while (base.ends_with('/')) base.remove_suffix(1);
  const auto host = HostPattern::parse(authority);
  if (!host || host->name.starts_with('.')) {
    refuse_rule(number, "\"forward\" must name a host, as https://gateway.example.com:8443/base");
  }
  const bool is_path = base.empty() || (base.starts_with('/') && plain_path(base) == base);
  if (!is_path || base.size() > kRuleTextMax || base.find_first_of(" ?#\t") != base.npos) {
    refuse_rule(number, "the path of \"forward\" must be a plain one, without query");
  }
  const Destination to{host->name, host->port.value_or(by_tls ? kRuleTlsPort : kRuleHttpPort),
                       by_tls};
  return {to, std::string(authority), std::string(base)};
}

void check_match(std::size_t number, const RuleText& text) {
  if (text.method && !is_http_token(*text.method)) {
    refuse_rule(number, "\"method\" must be one, as \"POST\"");
  }
  if (!text.path) return;
  const std::string_view path = *text.path;
  const std::string_view fixed = path.ends_with('*') ? path.substr(0, path.size() - 1) : path;
  // With a letter behind it, as a path that ends in "." may go on.
  const bool is_plain = fixed.starts_with('/') && fixed.size() <= kRuleTextMax &&
                        fixed.find_first_of("*?# ") == fixed.npos &&
                        plain_path(std::string(fixed) + "a") == std::string(fixed) + "a";
  if (!is_plain) {
    refuse_rule(number, "\"path\" must be a plain path from / on, with a * at its end or none");
  }
}

void check_response(std::size_t number, const RuleText::Response& response) {
  if (response.status < 200 || response.status > 599) {
    refuse_rule(number, "\"status\" of \"respond\" must be from 200 to 599");
  }
  if (response.body.size() > Rules::kBodyBytesMax) {
    refuse_rule(number, fmt::format("the body of \"respond\" has {} bytes, at most {}",
                                    response.body.size(), Rules::kBodyBytesMax));
  }
  check_headers(number, response.headers);
}

bool fits_path(const RuleText& text, std::string_view path) {
  if (!text.path) return true;
  const std::string_view wanted = *text.path;
  if (!wanted.ends_with('*')) return path == wanted;
  return path.starts_with(wanted.substr(0, wanted.size() - 1));
}

bool fits_host(const Rules::Rule& rule, std::string_view name, std::uint16_t port) {
  const bool fits_port =
      rule.host.port ? *rule.host.port == port : port == kRuleHttpPort || port == kRuleTlsPort;
  return fits_port && rule.host.covers(name);
}

}  // namespace

std::string Rules::Rule::name() const {
  return fmt::format("rule {} ({}{}{})", number, text.method ? *text.method + " " : "", text.host,
                     text.path.value_or(""));
}

Rules Rules::parse(const std::vector<RuleText>& texts) {
  if (texts.size() > kRulesMax) {
    refuse_rule(kRulesMax + 1, fmt::format("a policy has at most {} rules", kRulesMax));
  }
  Rules rules;
  for (const RuleText& text : texts) {
    const std::size_t number = rules.rules_.size() + 1;
    const auto host = HostPattern::parse(text.host);
    if (!host) {
      refuse_rule(number, "\"host\" must be a name or *.name, with :port or without, not \"" +
                              text.host + "\"");
    }
    check_match(number, text);
    check_headers(number, text.headers);
    Rule rule{.text = text, .host = *host, .number = number};
    if (!text.forward.empty()) rule.forward = read_forward_url(number, text.forward);
    if (text.response) {
      check_response(number, *text.response);
      if (!text.headers.empty() || rule.forward) {
        refuse_rule(number, "what is answered here is not sent: \"respond\" stands alone");
      }
    }
    rules.rules_.push_back(std::move(rule));
  }
  return rules;
}

bool Rules::covers(std::string_view name, std::uint16_t port) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return fits_host(rule, name, port); });
}

Rules::Answer Rules::first(std::string_view name, std::uint16_t port, std::string_view method,
                           std::string_view target) const {
  const auto path = plain_path(target);
  const std::string lower_method = to_lower_ascii(method);
  for (const Rule& rule : rules_) {
    if (!fits_host(rule, name, port)) continue;
    if (rule.text.path && !path) return {.is_path_ambiguous = true};
    if (rule.text.method && to_lower_ascii(*rule.text.method) != lower_method) continue;
    if (rule.text.path && !fits_path(rule.text, *path)) continue;
    return {.rule = &rule};
  }
  return {};
}

}  // namespace cellar::net
