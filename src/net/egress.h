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
#include <string>
#include <string_view>
#include <vector>

#include "async/serial.h"
#include "async/task_group.h"
#include "net/dns.h"
#include "net/pace.h"
#include "net/policy.h"
#include "net/refusal.h"
#include "net/resolver.h"
#include "net/synthetic.h"
#include "sys/fd.h"

namespace cellar::net {

// A socket in the cell's network namespace, bound to `port` of all addresses; TCP ones listen.
struct Listener {
  sys::Fd fd;
  std::uint16_t port = 0;
  bool udp = false;
};

// Where the client of an accepted connection wanted to go.
using OriginalDestination =
    std::function<asio::ip::tcp::endpoint(const asio::ip::tcp::socket& accepted)>;
// Where to connect to, to reach an upstream endpoint.
using DialAddress = std::function<asio::ip::tcp::endpoint(const asio::ip::tcp::endpoint&)>;

struct EgressOptions {
  std::size_t connections_max = 256;
  std::chrono::milliseconds head_limit = std::chrono::seconds(30);
  std::chrono::milliseconds connect_limit = std::chrono::seconds(10);
  std::chrono::milliseconds idle_limit = std::chrono::minutes(15);
  // Seams for tests. Empty: getsockname(), and the endpoint itself.
  OriginalDestination original_destination;
  DialAddress dial_address;
};

struct EgressCounters {
  std::uint64_t connections = 0;  // accepted, those that were refused included
  std::uint64_t refusals = 0;     // connections and questions, also those that were not told
  std::uint64_t failures = 0;     // allowed, but the upstream could not be reached
  std::uint64_t questions = 0;    // asked of the resolver
  std::uint64_t bytes_up = 0;     // from the cell
  std::uint64_t bytes_down = 0;
  std::size_t open = 0;  // connections at the moment
};

// The way out of one cell: accepts what its processes connect to in their network namespace,
// resolves the names on the allow-list, and joins the connections that are allowed to the real
// upstream, reached from the host's namespace. Everything else is refused and told.
// docs/internals/network.md has the rules.
//
// Loop thread only. Serves from the constructor until close(), which must come before the
// destructor.
class Egress {
 public:
  // Called on the loop thread; must not throw. The same one comes once in 10 s at most.
  using OnRefusal = std::function<void(Refusal)>;

  // `resolver` outlives it. Throws Error for a descriptor that is no socket.
  Egress(asio::any_io_executor executor, std::string cell_id, Policy policy,
         std::vector<Listener> listeners, Resolver& resolver, OnRefusal on_refusal,
         EgressOptions options = {});
  Egress(const Egress&) = delete;
  Egress& operator=(const Egress&) = delete;

  // One more listener; for a port that came with a new policy, say. Throws as the constructor does.
  void listen(Listener listener);
  // For questions and connections from now on; open connections stay. A port without a listener
  // stays closed.
  void set_policy(Policy policy);
  const EgressCounters& counters() const noexcept { return counters_; }

  // Closes all listeners and connections.
  asio::awaitable<void> close();

 private:
  // What a connection is for: a name, or else a listed address.
  struct Target {
    std::string name;
    asio::ip::address address;
    std::uint16_t port = 0;
    std::string text() const { return name.empty() ? address.to_string() : name; }
  };
  using Slot = std::shared_ptr<void>;  // counts one connection as long as it exists

  asio::awaitable<void> accept_all(asio::ip::tcp::acceptor acceptor, std::uint16_t port);
  asio::awaitable<void> answer_datagrams(asio::ip::udp::socket socket);
  asio::awaitable<void> answer_stream(asio::ip::tcp::socket socket, Slot slot);
  asio::awaitable<void> serve(asio::ip::tcp::socket socket, Slot slot);
  asio::awaitable<void> connect(asio::ip::tcp::socket& socket, Slot slot);
  asio::awaitable<void> refuse(asio::ip::tcp::socket& socket, Refusal refusal);
  asio::awaitable<void> fail(asio::ip::tcp::socket& socket, Target target);
  asio::awaitable<void> join(asio::ip::tcp::socket& socket, Target target, std::string head,
                             Slot slot);
  asio::awaitable<std::vector<asio::ip::address>> lookup(std::string name);

  Target target_of(const asio::ip::tcp::endpoint& destination) const;
  bool allows(const Target& target) const;
  asio::awaitable<void> keep_pace(Pace& pace);
  std::string answer_to(const DnsQuery& query);
  Slot take_slot();
  void tell(const Refusal& refusal);

  asio::any_io_executor executor_;
  std::string cell_id_;
  Policy policy_;
  Resolver& resolver_;
  OnRefusal on_refusal_;
  EgressOptions options_;
  SyntheticNames names_;
  RefusalFilter filter_;
  EgressCounters counters_;
  // A name's lookup waits its turn in one of these: so many go on at once, and a second one for the
  // same name finds the resolver's answer to the first.
  std::deque<async::Serial> lookups_;
  // A cell that floods the loop waits: the kernel drops its datagrams, its connections queue.
  Pace questions_pace_;
  Pace connections_pace_;
  async::TaskGroup tasks_;
};

}  // namespace cellar::net
