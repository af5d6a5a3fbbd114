#include "net/policy.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/port.h"
#include "base/text.h"
#include "net/dns.h"
#include "net/name.h"
#include "net/presets.h"
#include "net/synthetic.h"

namespace cellar::net {
namespace {

using asio::ip::address;

constexpr std::array<std::uint16_t, 2> kDefaultPorts = {80, 443};
constexpr std::uint16_t kSshPort = 22;  // stands for every other where each has a listener
constexpr std::string_view kEveryPort = "*";

// An entry, and the list it stands in: "allow", "deny".
struct Source {
  const std::string& entry;
  std::string_view list;
};

[[noreturn]] void refuse(const Source& source, const std::string& why) {
  const std::string list(source.list);
  throw Error(
      ErrorCode::invalid_argument, "invalid_" + list,
      list + " entry \"" + source.entry + "\": " + why,
      "write a name, *.name, an address, address/bits or *, each with :port, :* or neither");
}

struct HostAndPort {
  std::string_view host;
  std::optional<std::uint16_t> port = {};
  bool any_port = false;
};

// `text` stands behind the colon.
HostAndPort with_port(const Source& source, std::string_view host, std::string_view text) {
  if (text == kEveryPort) return {.host = host, .any_port = true};
  const auto port = parse_port(text);
  if (!port) refuse(source, "the port must be a number from 1 to 65535, or * for every one");
  if (*port == kDnsPort) refuse(source, "port 53 of every address is the cell's own resolver");
  return {.host = host, .port = *port};
}

HostAndPort split_port(const Source& source) {
  const std::string_view text = source.entry;
  if (text.find("://") != std::string_view::npos) {
    refuse(source, "this is a URL: name its host, as a policy knows no paths");
  }
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) refuse(source, "the ] is missing");
    const std::string_view host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) refuse(source, "only IPv6 addresses stand in []");
    if (rest.empty()) return {host};
    if (!rest.starts_with(':')) refuse(source, "only a :port may follow the ]");
    return with_port(source, host, rest.substr(1));
  }
  const std::size_t colon = text.find(':');
  // Two colons and no brackets: an IPv6 address.
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    return {text};
  }
  return with_port(source, text.substr(0, colon), text.substr(colon + 1));
}

std::string text_of(const Network& network) {
  return network.first.to_string() + "/" + std::to_string(network.prefix_bits);
}

// nullopt where `host` is no address.
std::optional<Network> read_network(const Source& source, std::string_view host) {
  if (host.find('%') != std::string_view::npos) refuse(source, "a scope is not allowed");
  const auto network = parse_network(host);
  const std::size_t slash = host.find('/');
  if (!network) {
    if (slash != std::string_view::npos) refuse(source, "neither a host name nor a network");
    return std::nullopt;
  }
  const auto begin = asio::ip::make_address(std::string(host.substr(0, slash)));
  if (unmapped(begin) != network->first) {
    refuse(source, "bits are set behind the prefix: the network is " + text_of(*network));
  }
  const bool is_host = slash == std::string_view::npos;
  if (is_synthetic(network->first) && network->is_private()) {
    refuse(source, "198.18.0.0/15 stands for names inside of cells");
  }
  if (is_host && begin.is_unspecified()) refuse(source, "this is no address of a host");
  return network;
}

}  // namespace

bool Policy::Entry::covers_name(std::string_view other) const {
  if (is_all) return true;
  return name.starts_with('.') ? other.ends_with(name) : !name.empty() && other == name;
}

bool Policy::Entry::covers_address(const address& any) const {
  return is_all || (network && network->contains(any));
}

bool Policy::Entry::allows_port(std::uint16_t other) const {
  if (port) return *port == other;
  return any_port ||
         std::find(kDefaultPorts.begin(), kDefaultPorts.end(), other) != kDefaultPorts.end();
}

bool Policy::Entry::opens_loopback() const {
  return network && network->is_private() && network->has_loopback();
}

Policy Policy::parse(const PolicyText& text) {
  Policy policy;
  policy.allow_ = parse_entries(text.allow, "allow");
  policy.deny_ = parse_entries(text.deny, "deny");
  if (!text.rules.empty()) {
    policy.rules_ = std::make_shared<const Rules>(Rules::parse(text.rules));
  }
  if (text.presets.size() > presets().size()) {
    throw Error(ErrorCode::invalid_argument, "invalid_preset", "a preset is named twice");
  }
  for (const std::string& name : text.presets) {
    for (const std::string& entry : preset_of(name).allow) {
      policy.allow_.push_back(parse_entry(entry, "allow"));
    }
  }
  return policy;
}

std::vector<Policy::Entry> Policy::parse_entries(const std::vector<std::string>& texts,
                                                 std::string_view list) {
  if (texts.size() > kEntriesMax) {
    const std::string name(list);
    throw Error(ErrorCode::invalid_argument, "invalid_" + name,
                name + " has " + std::to_string(texts.size()) + " entries, at most " +
                    std::to_string(kEntriesMax),
                "name what they share: *.name, address/bits");
  }
  std::vector<Entry> entries;
  for (const std::string& text : texts) entries.push_back(parse_entry(text, list));
  return entries;
}

Policy::Entry Policy::parse_entry(const std::string& text, std::string_view list) {
  const Source source{text, list};
  const auto [host, port, any_port] = split_port(source);
  if (port == kProxyPort && list == "allow") {
    refuse(source, "port 3128 of every address is the cell's own proxy");
  }
  Entry entry{.text = text, .port = port, .any_port = any_port};
  if (host == "*") {
    entry.is_all = true;
    entry.any_port = !port;
    return entry;
  }
  entry.network = read_network(source, host);
  if (any_port && list == "allow" && entry.opens_loopback()) {
    refuse(source, "other ports of loopback addresses are the cell's own: name the port");
  }
  if (entry.network) return entry;
  const bool is_wildcard = host.starts_with("*.");
  const auto name = normal_name(is_wildcard ? host.substr(2) : host);
  if (!name) refuse(source, "neither a host name nor an address");
  entry.name = is_wildcard ? "." + *name : *name;
  return entry;
}

Policy::Verdict Policy::judge_name(std::string_view name, std::uint16_t port) const {
  const auto normal = normal_name(name);
  if (!normal) return {};
  for (const Entry& entry : deny_) {
    if (entry.denies_port(port) && entry.covers_name(*normal)) return {Says::denied, entry.text};
  }
  const bool allowed = std::any_of(allow_.begin(), allow_.end(), [&](const Entry& entry) {
    return entry.allows_port(port) && entry.covers_name(*normal);
  });
  return {allowed ? Says::allowed : Says::not_listed};
}

Policy::Verdict Policy::judge_question(std::string_view name) const {
  const auto normal = normal_name(name);
  if (!normal) return {};
  for (const Entry& entry : deny_) {
    if (!entry.port && entry.covers_name(*normal)) return {Says::denied, entry.text};
  }
  const bool allowed = std::any_of(allow_.begin(), allow_.end(),
                                   [&](const Entry& entry) { return entry.covers_name(*normal); });
  return {allowed ? Says::allowed : Says::not_listed};
}

std::optional<Policy::Verdict> Policy::denial_of(const address& any, std::uint16_t port) const {
  for (const Entry& entry : deny_) {
    if (entry.denies_port(port) && entry.covers_address(any)) {
      return Verdict{Says::denied, entry.text};
    }
  }
  return std::nullopt;
}

Policy::Verdict Policy::judge_address(const address& any, std::uint16_t port) const {
  if (auto denial = denial_of(any, port)) return *std::move(denial);
  const bool is_private = is_private_address(any);
  bool listed = false;
  for (const Entry& entry : allow_) {
    if (!entry.allows_port(port) || !entry.covers_address(any)) continue;
    listed = true;
    if (!is_private || (entry.network && entry.network->is_private())) return {Says::allowed};
  }
  return {listed ? Says::private_address : Says::not_listed};
}

Policy::Verdict Policy::judge_upstream(const address& any, std::uint16_t port) const {
  if (auto denial = denial_of(any, port)) return *std::move(denial);
  if (!is_private_address(any) || judge_address(any, port).allows()) return {Says::allowed};
  return {Says::private_address};
}

bool Policy::denies_names(std::uint16_t port) const {
  return std::any_of(deny_.begin(), deny_.end(),
                     [&](const Entry& entry) { return !entry.network && entry.denies_port(port); });
}

std::vector<std::uint16_t> Policy::tcp_ports() const {
  std::set<std::uint16_t> ports(kDefaultPorts.begin(), kDefaultPorts.end());
  for (const Entry& entry : allow_) {
    if (entry.port) ports.insert(*entry.port);
    if (entry.any_port) ports.insert(kSshPort);
  }
  return std::vector<std::uint16_t>(ports.begin(), ports.end());
}

std::vector<std::uint16_t> Policy::loopback_ports() const {
  std::set<std::uint16_t> ports;
  for (const Entry& entry : allow_) {
    if (!entry.opens_loopback()) continue;
    if (entry.port) ports.insert(*entry.port);
    if (!entry.port) ports.insert(kDefaultPorts.begin(), kDefaultPorts.end());
  }
  return std::vector<std::uint16_t>(ports.begin(), ports.end());
}

}  // namespace cellar::net
