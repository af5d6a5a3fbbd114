#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "async/serial.h"
#include "async/task_group.h"
#include "net/dns.h"
#include "net/meter.h"
#include "net/pace.h"
#include "net/policy.h"
#include "net/proxy_request.h"
#include "net/refusal.h"
#include "net/resolver.h"
#include "net/session.h"
#include "net/synthetic.h"
#include "net/tls_authority.h"
#include "net/tls_client.h"
#include "sys/fd.h"

namespace cellar::net {

// A socket in the cell's network namespace; TCP ones listen, UDP ones are asked for names. What is
// done with a connection is decided by where it was made to, not by where it was taken.
struct Listener {
  sys::Fd fd;
  bool udp = false;
};

// Where the client of an accepted connection wanted to go.
using OriginalDestination =
    std::function<asio::ip::tcp::endpoint(const asio::ip::tcp::socket& accepted)>;
// Where to connect to, to reach an upstream endpoint.
using DialAddress = std::function<asio::ip::tcp::endpoint(const asio::ip::tcp::endpoint&)>;

struct EgressOptions {
  std::chrono::milliseconds head_limit = std::chrono::seconds(30);
  std::chrono::milliseconds connect_limit = std::chrono::seconds(10);
  std::chrono::milliseconds idle_limit = std::chrono::minutes(15);
  std::function<void()> on_end;  // a connection has ended; must not throw
  // For requests that are looked at; what is not there (nullptr) is refused. They outlive it.
  TlsClient* tls = nullptr;
  const Policy* forwards = nullptr;  // where rules may send them: the operator's
  // Seams for tests. Empty: getsockname(), and the endpoint itself.
  OriginalDestination original_destination;
  DialAddress dial_address;
};

// The way out of one domain of a cell: accepts what its processes connect to in their network
// namespace, resolves the names that the policy allows, and joins the connections that it allows to
// the real upstream, reached from the host's namespace. Everything else is refused and told. On
// kProxyPort it serves those who would rather ask a proxy, by the same policy. Requests to hosts of
// secrets and of rules are looked at one by one (session.h), others are not.
// docs/internals/network.md has the rules.
//
// Loop thread only. Serves from the constructor until close(), which must come before the
// destructor.
class Egress {
 public:
  // Called on the loop thread; must not throw. The same one comes once in 10 s at most.
  using OnRefusal = std::function<void(Refusal)>;

  // `resolver` and `meter`, which the cell's egresses share, outlive it. Throws Error for a
  // descriptor that is no socket.
  Egress(asio::any_io_executor executor, std::string cell_id, Policy policy,
         std::vector<Listener> listeners, Resolver& resolver, Meter& meter, OnRefusal on_refusal,
         EgressOptions options = {});
  Egress(const Egress&) = delete;
  Egress& operator=(const Egress&) = delete;

  // One more listener. Throws as the constructor does.
  void listen(Listener listener);
  // For questions and connections from now on; open connections stay. A port without a listener
  // stays closed.
  void set_policy(Policy policy);
  // The same; open connections have it for their next request. `authority` makes the certificates
  // of hosts whose TLS is opened, and may be missing where there are none; shared by the cell's
  // egresses.
  void set_injection(std::shared_ptr<const Injection> injection,
                     std::shared_ptr<TlsAuthority> authority);
  std::size_t open_count() const noexcept { return open_count_; }  // connections at the moment

  // Closes all listeners and connections.
  asio::awaitable<void> close();

 private:
  // What a connection is for: a name, or else an address.
  struct Target {
    std::string name;
    asio::ip::address address;
    std::uint16_t port = 0;
    std::string text() const { return name.empty() ? address.to_string() : name; }
  };
  using Judge = std::function<Policy::Verdict(const asio::ip::address&)>;
  using Reached = std::variant<asio::ip::tcp::socket, Refusal, Unreachable>;
  using Slot = std::shared_ptr<void>;  // counts one connection as long as it exists

  asio::awaitable<void> accept_all(asio::ip::tcp::acceptor acceptor);
  void begin(asio::ip::tcp::socket socket);
  asio::awaitable<void> answer_datagrams(asio::ip::udp::socket socket);
  asio::awaitable<void> answer_stream(asio::ip::tcp::socket socket, Slot slot);
  asio::awaitable<void> serve(asio::ip::tcp::socket socket, asio::ip::tcp::endpoint to, Slot slot);
  asio::awaitable<void> connect(asio::ip::tcp::socket& socket, asio::ip::tcp::endpoint to,
                                Slot slot);
  asio::awaitable<void> refuse(asio::ip::tcp::socket& socket, Refusal refusal);
  void count_failure(const Target& target);
  asio::awaitable<void> fail(asio::ip::tcp::socket& socket, Target target);
  void join(asio::ip::tcp::socket& socket, asio::ip::tcp::socket upstream, Target target,
            std::string head, Slot slot);
  asio::awaitable<std::vector<asio::ip::address>> lookup(std::string name);

  // The client of a proxy is told by HTTP, whatever the port.
  asio::awaitable<void> proxy(asio::ip::tcp::socket& socket, Slot slot);
  asio::awaitable<void> proxy_connect(asio::ip::tcp::socket& socket, Target target,
                                      std::string head, Slot slot);
  asio::awaitable<void> proxy_request(asio::ip::tcp::socket& socket, Target target,
                                      ProxyRequest request, std::string rest, Slot slot);
  asio::awaitable<void> proxy_session(asio::ip::tcp::socket& socket, Target target,
                                      std::string bytes, Slot slot);
  asio::awaitable<void> proxy_refuse(asio::ip::tcp::socket& socket, Refusal refusal);
  asio::awaitable<std::optional<asio::ip::tcp::socket>> proxy_reach(asio::ip::tcp::socket& socket,
                                                                    Target target);

  Target target_of(const asio::ip::tcp::endpoint& destination) const;
  // nullopt: it may be connected to, as far as can be said before it is resolved.
  std::optional<Refusal> refusal_of(const Target& target) const;
  // Reads the client's first bytes into `head` where the port has a protocol that names the host.
  // Whether the connection goes on; where not, the client was told.
  asio::awaitable<bool> check_name(asio::ip::tcp::socket& socket, Target target, std::string& head);
  asio::awaitable<Reached> reach(Target target);
  // `judge` is asked about addresses that the target's name has.
  asio::awaitable<Reached> reach_judged(Target target, Judge judge);

  // Requests that are looked at: egress_requests.cc.
  bool looks_at(const Target& target) const;
  SessionHooks hooks_of_session(Slot slot);
  asio::awaitable<void> serve_target(asio::ip::tcp::socket& socket, Target target, std::string head,
                                     Slot slot);
  asio::awaitable<Opened> open(Destination to, Leave leave);
  asio::awaitable<Reached> reach_forward(Target target);
  // Says whether bytes that nobody opens may be sent; empty where anything may.
  std::function<bool(std::string_view)> judge_of_clear(Target target, std::string_view head);
  asio::awaitable<void> keep_pace(Pace& pace);
  std::string answer_to(const DnsQuery& query);
  // "_https._tcp.example.com", where example.com may be asked for.
  bool is_service_of_listed(std::string_view name) const;
  Slot take_slot();
  void tell(const Refusal& refusal);

  asio::any_io_executor executor_;
  std::string cell_id_;
  Policy policy_;
  Resolver& resolver_;
  Meter& meter_;
  std::shared_ptr<const Injection> injection_ = std::make_shared<const Injection>();
  std::shared_ptr<TlsAuthority> authority_;
  OnRefusal on_refusal_;
  EgressOptions options_;
  SyntheticNames names_;
  RefusalFilter filter_;
  std::size_t open_count_ = 0;
  // A name's lookup waits its turn in one of these: so many go on at once, and a second one for the
  // same name finds the resolver's answer to the first. Shared with lookups that nobody waits for
  // any more: they have their turn until they end.
  std::shared_ptr<std::deque<async::Serial>> lookups_;
  // A cell that floods the loop waits: the kernel drops its datagrams, its connections queue.
  Pace questions_pace_;
  Pace connections_pace_;
  Pace openings_pace_;  // of TLS, which costs more than all else
  async::TaskGroup tasks_;
};

}  // namespace cellar::net
