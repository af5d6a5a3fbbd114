#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace cellar::net {

// Why a cell was not let out.
enum class Why : std::uint8_t {
  not_listed,            // No entry of "allow" fits, or none with this port.
  denied,                // An entry of "deny" fits.
  unknown_address,       // A synthetic address that stands for no name (any more): resolve again.
  name_mismatch,         // TLS or HTTP names another host than the one that was resolved.
  no_name,               // TLS or HTTP names no host.
  malformed,             // Port 443 without TLS, port 80 without HTTP/1, or an ambiguous head.
  private_address,       // The name leads into a private network.
  too_many_connections,  // The domain's limit.
  byte_limit,            // The cell has moved all the bytes that it may.
  rule,                  // A rule answers with an error instead of sending it.
  forward_not_listed,    // A rule sends it where the operator lets nobody send things.
  bad_certificate,       // The server's certificate does not prove that it is that host.
  // A placeholder was sent and not replaced: to a host, or from a domain, that the secret is not
  // for; without TLS; elsewhere than in a header's value; one that stands for no secret.
  secret_elsewhere,
  secret_in_clear,
  secret_misplaced,
  secret_unknown,
  distrusted,   // The client says that it does not take the certificate that the cell's CA made.
  tls_failed,   // The client and the daemon agree on no TLS, for another reason than that.
  secret_echo,  // The server sends the value back: its answer is cut off.
};
// "not_listed", "unknown_address", …: stable words.
std::string_view to_string(Why why) noexcept;

struct Refusal {
  std::string target;      // a name, an address as text; "*" for too_many_connections
  std::uint16_t port = 0;  // 53: the name was asked for and not resolved
  Why why = Why::not_listed;
  // What refused it: the entry of "deny" that fits, a rule's name, a secret's name; of a
  // certificate that somebody does not take what is wrong with it.
  std::string rule = {};
};

// What to do so that it would be allowed, in one sentence; empty where nothing helps.
std::string remedy(const Refusal& refusal);

// The whole HTTP response for a refused request: 403 with a text for the person or agent who reads
// it, saying what to change.
std::string refusal_response(const Refusal& refusal);
// The same for an upstream that cannot be reached: 502.
std::string unreachable_response(std::string_view target);
// The same for one that gives no answer that can be passed on: 502.
std::string no_answer_response(std::string_view target);
// The same for a request that cannot be read: 400.
std::string bad_request_response(std::string_view why);
// A TLS record with a fatal alert, access_denied.
std::string_view refusal_alert() noexcept;

// Keeps the same refusal from being told more often than every kPause. Not thread-safe.
class RefusalFilter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kPause{10};
  // Different ones told in one kPause; more are dropped.
  static constexpr std::size_t kToldMax = 256;

  // Whether to tell this one, at `now`.
  bool admits(const Refusal& refusal, Time now);

 private:
  std::map<std::string, Time> told_;
};

}  // namespace cellar::net
