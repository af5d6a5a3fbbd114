#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/rules.h"

namespace cellar::net {

// Of every address inside of a cell: the explicit proxy.
inline constexpr std::uint16_t kProxyPort = 3128;

// A policy as it is written. An entry is a name ("api.example.com"), every name below one at any
// depth ("*.example.com", not example.com itself), an address or a network ("203.0.113.7",
// "10.0.0.0/8", "2001:db8::/32") or everything ("*"), each with a port behind a colon, with ":*"
// for every port, or without one. With either and for IPv6 the address stands in brackets:
// "[2001:db8::7]:8443".
struct PolicyText {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  std::vector<std::string> presets;  // names of presets.h, behind the entries of `allow`
  std::vector<RuleText> rules;       // of requests to hosts that are allowed
  bool operator==(const PolicyText&) const = default;
};

// What a cell may reach: a PolicyText, parsed. A value; no I/O.
//
// Entries of `deny` are looked at first, then those of `allow`; the first that fits decides, and
// what none fits is refused. Without a port an entry of `allow` means ports 80 and 443 ("*": every
// one), one of `deny` every port. "*" allows names and public addresses. A private address is
// allowed only by an entry that is this address, or a network that is private as a whole; a
// loopback one with its ports, as all other ports there are the cell's own.
class Policy {
 public:
  static constexpr std::size_t kEntriesMax = 256;  // of `allow`, and of `deny`

  enum class Says : std::uint8_t { allowed, denied, not_listed, private_address };
  struct Verdict {
    Says says = Says::not_listed;
    std::string rule = {};  // the entry of `deny` that fits; else empty
    bool allows() const noexcept { return says == Says::allowed; }
  };

  // Nothing is allowed.
  Policy() = default;
  // Throws Error `invalid_argument`, reasons `invalid_allow`, `invalid_deny`, `invalid_preset` and
  // `invalid_rule`, naming the entry.
  static Policy parse(const PolicyText& text);

  // Names in any case, with or without the dot at the end.
  Verdict judge_name(std::string_view name, std::uint16_t port) const;
  // Whether the name is allowed on some port: then it resolves.
  Verdict judge_question(std::string_view name) const;
  // A connection to the address itself. An IPv4 address mapped into IPv6 is that address.
  Verdict judge_address(const asio::ip::address& address, std::uint16_t port) const;
  // An address that an allowed name resolves to.
  Verdict judge_upstream(const asio::ip::address& address, std::uint16_t port) const;
  // Whether a name is denied on this port: then one that is said on the way to an address matters.
  bool denies_names(std::uint16_t port) const;
  // Shared: a connection keeps those that it began with.
  const std::shared_ptr<const Rules>& rules() const noexcept { return rules_; }
  // What listeners must cover where each has one port: 80, 443, every port that `allow` names, and
  // 22 where an entry means every one; sorted.
  std::vector<std::uint16_t> tcp_ports() const;
  // The ports on which a loopback address is allowed, sorted: there a listener stands before the
  // cell's own servers.
  std::vector<std::uint16_t> loopback_ports() const;

 private:
  struct Entry {
    std::string text;
    std::string name = {};  // for a wildcard ".example.com": what the name must end in
    std::optional<Network> network = {};
    bool is_all = false;
    std::optional<std::uint16_t> port = {};
    bool any_port = false;

    bool covers_name(std::string_view other) const;  // `other` is normal (name.h)
    bool covers_address(const asio::ip::address& address) const;
    bool allows_port(std::uint16_t other) const;
    bool opens_loopback() const;
    bool denies_port(std::uint16_t other) const { return !port || *port == other; }
  };

  static std::vector<Entry> parse_entries(const std::vector<std::string>& texts,
                                          std::string_view list);
  static Entry parse_entry(const std::string& text, std::string_view list);
  std::optional<Verdict> denial_of(const asio::ip::address& address, std::uint16_t port) const;

  std::vector<Entry> allow_;
  std::vector<Entry> deny_;
  std::shared_ptr<const Rules> rules_ = std::make_shared<const Rules>();
};

}  // namespace cellar::net
