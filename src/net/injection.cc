#include "net/injection.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace cellar::net {
namespace {

constexpr std::uint16_t kSecretPort = 443;  // of hosts without a port
constexpr std::string_view kBasic = "basic ";

Refusal refusal(Why why, std::string_view host, std::uint16_t port, std::string_view secret) {
  return {std::string(host), port, why, std::string(secret)};
}

}  // namespace

bool BoundSecret::is_for(std::string_view host, std::uint16_t port) const {
  return std::any_of(hosts.begin(), hosts.end(), [&](const HostPattern& pattern) {
    return pattern.port.value_or(kSecretPort) == port && pattern.covers(host);
  });
}

std::size_t most_of_one_host(const std::vector<BoundSecret>& secrets) {
  std::map<std::string, std::set<std::size_t>> named;  // "api.example.com:443": which
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    for (const HostPattern& host : secrets[i].hosts) {
      named[fmt::format("{}:{}", host.name, host.port.value_or(kSecretPort))].insert(i);
    }
  }
  std::size_t most = 0;
  for (const auto& [host, own] : named) {
    std::set<std::size_t> all = own;
    for (std::size_t dot = host.find('.', 1); dot != host.npos; dot = host.find('.', dot + 1)) {
      const auto wildcard = named.find(host.substr(dot));
      if (wildcard != named.end()) all.insert(wildcard->second.begin(), wildcard->second.end());
    }
    most = std::max(most, all.size());
  }
  return most;
}

Injection::Injection(std::vector<BoundSecret> secrets) : secrets_(std::move(secrets)) {
  for (const BoundSecret& secret : secrets_) {
    values_.push_back(std::make_shared<const SoughtValue>(secret.value));
  }
}

bool Injection::covers(std::string_view host, std::uint16_t port) const {
  return std::any_of(secrets_.begin(), secrets_.end(), [&](const BoundSecret& secret) {
    return secret.is_here && secret.is_for(host, port);
  });
}

const BoundSecret* Injection::find(std::string_view placeholder) const {
  for (const BoundSecret& secret : secrets_) {
    if (secret.placeholder == placeholder) return &secret;
  }
  return nullptr;
}

Refusal Injection::refusal_of(std::string_view placeholder, std::string_view host,
                              std::uint16_t port) const {
  const BoundSecret* secret = find(placeholder);
  if (secret == nullptr) return refusal(Why::secret_unknown, host, port, "");
  const bool may_go = secret->is_here && secret->is_for(host, port);
  return refusal(may_go ? Why::secret_in_clear : Why::secret_elsewhere, host, port, secret->name);
}

std::optional<Refusal> Injection::judge_clear(std::string_view bytes, std::string_view host,
                                              std::uint16_t port) const {
  if (empty()) return std::nullopt;
  const auto placeholder = find_placeholder(bytes);
  if (!placeholder) return std::nullopt;
  const BoundSecret* secret = find(*placeholder);
  return refusal(Why::secret_in_clear, host, port, secret == nullptr ? "" : secret->name);
}

std::optional<Refusal> Injection::replace(std::string& text, const Destination& to) const {
  std::string done;
  std::string_view rest = text;
  while (const auto placeholder = find_placeholder(rest)) {
    const BoundSecret* secret = find(*placeholder);
    if (secret == nullptr) return refusal(Why::secret_unknown, to.name, to.port, "");
    if (!to.by_tls) return refusal(Why::secret_in_clear, to.name, to.port, secret->name);
    if (!secret->is_here || !secret->is_for(to.name, to.port)) {
      return refusal(Why::secret_elsewhere, to.name, to.port, secret->name);
    }
    const auto before = static_cast<std::size_t>(placeholder->data() - rest.data());
    done.append(rest.substr(0, before)).append(secret->value);
    rest.remove_prefix(before + placeholder->size());
  }
  if (!done.empty()) text = done.append(rest);
  return std::nullopt;
}

std::optional<Refusal> Injection::replace_in_header(std::string_view name, std::string& value,
                                                    const Destination& to) const {
  const bool is_basic = to_lower_ascii(name) == "authorization" &&
                        to_lower_ascii(value.substr(0, kBasic.size())) == kBasic;
  auto credentials =
      is_basic ? from_base64(trim(std::string_view(value).substr(kBasic.size()))) : std::nullopt;
  if (!credentials || !find_placeholder(*credentials)) return replace(value, to);
  auto refused = replace(*credentials, to);
  if (!refused) value = "Basic " + to_base64(*credentials);
  return refused;
}

std::optional<Refusal> Injection::put_in(RequestHead& head, const Destination& to) const {
  if (empty()) return std::nullopt;
  // In what logs show, and servers repeat: a value is never put there.
  std::string elsewhere = head.method + " " + head.target + " " + head.host;
  for (const auto& [name, value] : head.headers) elsewhere += " " + to_lower_ascii(name);
  if (const auto placeholder = find_placeholder(elsewhere)) {
    const BoundSecret* secret = find(*placeholder);
    return refusal(Why::secret_misplaced, to.name, to.port, secret == nullptr ? "" : secret->name);
  }
  RequestHead changed = head;
  for (auto& [name, value] : changed.headers) {
    if (auto refused = replace_in_header(name, value, to)) return refused;
  }
  bool is_put_in = false;
  for (const BoundSecret& secret : secrets_) {
    if (!to.by_tls || !secret.is_here || !secret.is_for(to.name, to.port)) continue;
    is_put_in = true;
    if (!secret.header.empty()) changed.set(secret.header, secret.value);
  }
  // A value that comes back packed would not be seen.
  if (is_put_in) changed.set("Accept-Encoding", "identity");
  head = std::move(changed);
  return std::nullopt;
}

SoughtValues Injection::values_for(const Destination& to) const {
  SoughtValues values;
  for (std::size_t i = 0; i < secrets_.size(); ++i) {
    const BoundSecret& secret = secrets_[i];
    if (to.by_tls && secret.is_here && secret.is_for(to.name, to.port)) {
      values.push_back(values_[i]);
    }
  }
  return values;
}

}  // namespace cellar::net
