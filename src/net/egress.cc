#include "net/egress.h"

#include <array>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "net/client_hello.h"
#include "net/http_host.h"
#include "net/name.h"
#include "net/stream.h"

namespace cellar::net {
namespace {

using Udp = asio::ip::udp;

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kTlsPort = 443;
constexpr std::size_t kLookupsMax = 4;
constexpr std::size_t kAddressesTriedMax = 4;
// What the answer to a name that is not listed says.
constexpr DnsCode kNotListed = DnsCode::nx_domain;
constexpr std::size_t kDatagramSizeMax = 4096;
// How long a listener that failed (no descriptors are left) waits before it goes on.
constexpr std::chrono::milliseconds kFailurePause{50};
constexpr std::chrono::seconds kDnsIdleLimit{10};
// Questions, and connections, that a cell may begin.
constexpr int kPerSecond = 500;
constexpr int kBurst = 250;

Why why_not(PeekedName::State state) {
  if (state == PeekedName::State::found) return Why::name_mismatch;
  return state == PeekedName::State::none ? Why::no_name : Why::malformed;
}

[[noreturn]] void throw_listener(std::uint16_t port, const boost::system::error_code& error) {
  throw Error(ErrorCode::internal,
              "listener of port " + std::to_string(port) + " in a cell: " + error.message());
}

}  // namespace

Egress::Egress(asio::any_io_executor executor, std::string cell_id, Policy policy,
               std::vector<Listener> listeners, Resolver& resolver, OnRefusal on_refusal,
               EgressOptions options)
    : executor_(std::move(executor)),
      cell_id_(std::move(cell_id)),
      policy_(std::move(policy)),
      resolver_(resolver),
      on_refusal_(std::move(on_refusal)),
      options_(std::move(options)),
      questions_pace_(kPerSecond, kBurst),
      connections_pace_(kPerSecond, kBurst),
      tasks_(executor_) {
  if (!options_.original_destination) {
    options_.original_destination = [](const Tcp::socket& accepted) {
      return accepted.local_endpoint();
    };
  }
  if (!options_.dial_address) {
    options_.dial_address = [](const Tcp::endpoint& upstream) { return upstream; };
  }
  for (std::size_t i = 0; i < kLookupsMax; ++i) lookups_.emplace_back(executor_);
  for (Listener& listener : listeners) listen(std::move(listener));
}

void Egress::listen(Listener listener) {
  boost::system::error_code error;
  // The protocol named here matters to Asio only where it opens sockets itself: IPv6 ones work too.
  if (listener.udp) {
    Udp::socket socket(executor_);
    socket.assign(Udp::v4(), listener.fd.get(), error);
    if (error) throw_listener(listener.port, error);
    listener.fd.release();
    tasks_.spawn(answer_datagrams(std::move(socket)));
    return;
  }
  Tcp::acceptor acceptor(executor_);
  acceptor.assign(Tcp::v4(), listener.fd.get(), error);
  if (error) throw_listener(listener.port, error);
  listener.fd.release();
  tasks_.spawn(accept_all(std::move(acceptor), listener.port));
}

void Egress::set_policy(Policy policy) { policy_ = std::move(policy); }

asio::awaitable<void> Egress::close() { co_await tasks_.close(); }

Egress::Slot Egress::take_slot() {
  ++counters_.open;
  // Owns nothing; what matters is that the deleter runs with its last copy.
  return Slot(nullptr, [this](void*) { --counters_.open; });
}

void Egress::tell(const Refusal& refusal) {
  ++counters_.refusals;
  if (!filter_.admits(refusal, std::chrono::steady_clock::now())) return;
  if (on_refusal_) on_refusal_(refusal);
}

asio::awaitable<void> Egress::keep_pace(Pace& pace) {
  const auto wait = pace.next(std::chrono::steady_clock::now());
  if (wait.count() > 0) co_await async::sleep_for(wait);
}

asio::awaitable<void> Egress::accept_all(Tcp::acceptor acceptor, std::uint16_t port) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      log::warning("cell {}: accept on port {}: {}", cell_id_, port, error.message());
      co_await async::sleep_for(kFailurePause);
      continue;
    }
    co_await keep_pace(connections_pace_);
    ++counters_.connections;
    if (counters_.open >= options_.connections_max) {
      const Refusal refusal{"*", port, Why::too_many_connections};
      reset(socket);
      tell(refusal);
      continue;
    }
    Slot slot = take_slot();
    if (port == kDnsPort) {
      tasks_.spawn(answer_stream(std::move(socket), std::move(slot)));
    } else {
      tasks_.spawn(serve(std::move(socket), std::move(slot)));
    }
  }
}

// --- Names ---

std::string Egress::answer_to(const DnsQuery& query) {
  ++counters_.questions;
  const auto name = normal_name(query.name);
  if (name && policy_.lists_name(*name)) {
    if (query.type != DnsType::a) return encode_dns_answer(query, DnsCode::no_error);
    return encode_dns_answer(query, names_.address_of(*name));
  }
  // Tools look up the names of addresses (PTR) without being asked to: nobody needs to hear of it.
  if (name && name->ends_with(".arpa")) return encode_dns_answer(query, DnsCode::nx_domain);
  const std::string shown = query.name.empty() ? "." : query.name;
  tell({name.value_or(shown), kDnsPort, Why::not_listed});
  return encode_dns_answer(query, kNotListed);
}

asio::awaitable<void> Egress::answer_datagrams(Udp::socket socket) {
  std::array<char, kDatagramSizeMax> bytes;
  for (;;) {
    Udp::endpoint peer;
    const auto [error, size] =
        co_await socket.async_receive_from(asio::buffer(bytes), peer, kAsTuple);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      co_await async::sleep_for(kFailurePause);
      continue;
    }
    co_await keep_pace(questions_pace_);
    const auto query = decode_dns_query(std::string_view(bytes.data(), size));
    if (!query) continue;
    const std::string answer = answer_to(*query);
    // What cannot be sent is asked again.
    co_await socket.async_send_to(asio::buffer(answer), peer, kAsTuple);
  }
}

asio::awaitable<void> Egress::answer_stream(Tcp::socket socket, Slot slot) {
  Watchdog idle(executor_, kDnsIdleLimit, [&socket] { reset(socket); });
  std::array<char, kDatagramSizeMax> piece;
  std::string bytes;  // never more than a message of 64 KiB and a piece
  for (;;) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(piece), kAsTuple);
    if (error) co_return;
    bytes.append(piece.data(), size);
    while (const auto message = unframe_dns(bytes)) {
      co_await keep_pace(questions_pace_);
      const auto query = decode_dns_query(*message);
      if (!query) co_return;
      const std::string answer = frame_dns(answer_to(*query));
      bytes.erase(0, frame_dns("").size() + message->size());
      const auto [failure, sent] =
          co_await asio::async_write(socket, asio::buffer(answer), kAsTuple);
      if (failure) co_return;
      idle.touch();
    }
  }
}

// --- Connections ---

asio::awaitable<void> Egress::serve(Tcp::socket socket, Slot slot) {
  try {
    co_await connect(socket, std::move(slot));
  } catch (const boost::system::system_error&) {
    // The client left in the middle, or close() ends us: nothing that is worth a line in the log.
  }
}

Egress::Target Egress::target_of(const Tcp::endpoint& destination) const {
  const asio::ip::address address = unmapped(destination.address());
  return {names_.name_of(address).value_or(""), address, destination.port()};
}

bool Egress::allows(const Target& target) const {
  if (target.name.empty()) return policy_.allows_address(target.address, target.port);
  return policy_.allows_name(target.name, target.port);
}

asio::awaitable<void> Egress::connect(Tcp::socket& socket, Slot slot) {
  const Target target = target_of(options_.original_destination(socket));
  Refusal refusal{target.text(), target.port, Why::not_listed};
  if (!allows(target)) {
    if (is_synthetic(target.address) && target.name.empty()) refusal.why = Why::unknown_address;
    co_return co_await refuse(socket, std::move(refusal));
  }
  std::string head;
  const bool must_say_name = target.port == kTlsPort || target.port == kHttpPort;
  if (must_say_name && !target.name.empty()) {
    const auto peek = target.port == kTlsPort ? peek_client_hello : peek_http_host;
    const PeekedName said = co_await read_head(socket, head, peek, options_.head_limit);
    if (said.state == PeekedName::State::more) co_return;
    if (said.name != target.name) {
      if (!said.name.empty()) refusal.target = said.name;
      refusal.why = why_not(said.state);
      co_return co_await refuse(socket, std::move(refusal));
    }
  }
  co_await join(socket, target, std::move(head), std::move(slot));
}

asio::awaitable<std::vector<asio::ip::address>> Egress::lookup(std::string name) {
  async::Serial& lookups = lookups_[std::hash<std::string>()(name) % kLookupsMax];
  const async::Serial::Turn turn = co_await lookups.turn();
  co_return co_await resolver_.resolve(std::move(name));
}

asio::awaitable<void> Egress::join(Tcp::socket& socket, Target target, std::string head,
                                   Slot slot) {
  std::vector<asio::ip::address> addresses(1, target.address);
  if (!target.name.empty()) {
    addresses = co_await lookup(target.name);
    if (addresses.empty()) co_return co_await fail(socket, std::move(target));
    std::erase_if(addresses, [&](const asio::ip::address& address) {
      return is_private_address(address) && !policy_.allows_address(address, target.port);
    });
  }
  if (addresses.empty()) {
    Refusal refusal{target.name, target.port, Why::private_address};
    co_return co_await refuse(socket, std::move(refusal));
  }
  std::vector<Tcp::endpoint> endpoints;
  for (const asio::ip::address& address : addresses) {
    if (endpoints.size() == kAddressesTriedMax) break;
    endpoints.push_back(options_.dial_address(Tcp::endpoint(address, target.port)));
  }
  auto upstream = co_await dial(std::move(endpoints), options_.connect_limit);
  if (!upstream) co_return co_await fail(socket, std::move(target));

  socket.set_option(Tcp::no_delay(true));
  upstream->set_option(Tcp::no_delay(true));
  const auto joined = std::make_shared<Joined>(std::move(socket), std::move(*upstream),
                                               options_.idle_limit, std::move(slot));
  tasks_.spawn(pump(joined, joined->upstream, joined->client, {}, counters_.bytes_down));
  co_await pump(joined, joined->client, joined->upstream, std::move(head), counters_.bytes_up);
}

asio::awaitable<void> Egress::refuse(Tcp::socket& socket, Refusal refusal) {
  tell(refusal);
  if (refusal.port == kHttpPort) {
    co_await close_with(socket, refusal_response(refusal));
  } else if (refusal.port == kTlsPort) {
    co_await close_with(socket, std::string(refusal_alert()));
  } else {
    reset(socket);
  }
}

asio::awaitable<void> Egress::fail(Tcp::socket& socket, Target target) {
  ++counters_.failures;
  log::debug("cell {}: {}:{} cannot be reached", cell_id_, target.text(), target.port);
  if (target.port == kHttpPort) {
    co_await close_with(socket, unreachable_response(target.text()));
  } else {
    reset(socket);
  }
}

}  // namespace cellar::net
