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
constexpr int kOpeningsPerSecond = 50;
constexpr int kOpeningsBurst = 100;

Why why_not(PeekedName::State state) {
  if (state == PeekedName::State::found) return Why::name_mismatch;
  return state == PeekedName::State::none ? Why::no_name : Why::malformed;
}

Why why_not(Policy::Says says) {
  if (says == Policy::Says::denied) return Why::denied;
  return says == Policy::Says::private_address ? Why::private_address : Why::not_listed;
}

// Of ports that may have either.
PeekedName peek_either(std::string_view bytes) {
  return is_tls(bytes) ? peek_client_hello(bytes) : peek_http_host(bytes);
}

[[noreturn]] void throw_listener(const boost::system::error_code& error) {
  throw Error(ErrorCode::internal, "a listener in a cell: " + error.message());
}

}  // namespace

Egress::Egress(asio::any_io_executor executor, std::string cell_id, Policy policy,
               std::vector<Listener> listeners, Resolver& resolver, Meter& meter,
               OnRefusal on_refusal, EgressOptions options)
    : executor_(std::move(executor)),
      cell_id_(std::move(cell_id)),
      policy_(std::move(policy)),
      resolver_(resolver),
      meter_(meter),
      on_refusal_(std::move(on_refusal)),
      options_(std::move(options)),
      lookups_(std::make_shared<std::deque<async::Serial>>()),
      questions_pace_(kPerSecond, kBurst),
      connections_pace_(kPerSecond, kBurst),
      openings_pace_(kOpeningsPerSecond, kOpeningsBurst),
      tasks_(executor_) {
  if (!options_.original_destination) {
    options_.original_destination = [](const Tcp::socket& accepted) {
      boost::system::error_code ignored;  // Then it is port 0, which nobody is allowed.
      return accepted.local_endpoint(ignored);
    };
  }
  if (!options_.dial_address) {
    options_.dial_address = [](const Tcp::endpoint& upstream) { return upstream; };
  }
  for (std::size_t i = 0; i < kLookupsMax; ++i) lookups_->emplace_back(executor_);
  for (Listener& listener : listeners) listen(std::move(listener));
}

void Egress::listen(Listener listener) {
  boost::system::error_code error;
  // The protocol named here matters to Asio only where it opens sockets itself: IPv6 ones work too.
  if (listener.udp) {
    Udp::socket socket(executor_);
    socket.assign(Udp::v4(), listener.fd.get(), error);
    if (error) throw_listener(error);
    listener.fd.release();
    tasks_.spawn(answer_datagrams(std::move(socket)));
    return;
  }
  Tcp::acceptor acceptor(executor_);
  acceptor.assign(Tcp::v4(), listener.fd.get(), error);
  if (error) throw_listener(error);
  listener.fd.release();
  tasks_.spawn(accept_all(std::move(acceptor)));
}

void Egress::set_policy(Policy policy) { policy_ = std::move(policy); }

asio::awaitable<void> Egress::close() { co_await tasks_.close(); }

Egress::Slot Egress::take_slot() {
  ++open_count_;
  // Owns nothing; what matters is that the deleter runs with its last copy.
  return Slot(nullptr, [this](void*) {
    --open_count_;
    if (options_.on_end) options_.on_end();
  });
}

void Egress::tell(const Refusal& refusal) {
  ++meter_.usage().refusals;
  if (!filter_.admits(refusal, std::chrono::steady_clock::now())) return;
  if (on_refusal_) on_refusal_(refusal);
}

asio::awaitable<void> Egress::keep_pace(Pace& pace) {
  const auto wait = pace.next(std::chrono::steady_clock::now());
  if (wait.count() > 0) co_await async::sleep_for(wait);
}

asio::awaitable<void> Egress::accept_all(Tcp::acceptor acceptor) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      log::warning("cell {}: accept: {}", log::cell(cell_id_), error.message());
      co_await async::sleep_for(kFailurePause);
      continue;
    }
    co_await keep_pace(connections_pace_);
    begin(std::move(socket));
  }
}

void Egress::begin(Tcp::socket socket) {
  const Tcp::endpoint to = options_.original_destination(socket);
  const std::uint16_t port = to.port();
  ++meter_.usage().connections;
  std::optional<Why> why;
  if (open_count_ >= meter_.limits().connections) why = Why::too_many_connections;
  if (port != kDnsPort && meter_.is_spent()) why = Why::byte_limit;
  if (why) {
    reset(socket);
    tell({"*", port, *why});
    return;
  }
  Slot slot = take_slot();
  if (port == kDnsPort) {
    tasks_.spawn(answer_stream(std::move(socket), std::move(slot)));
  } else {
    tasks_.spawn(serve(std::move(socket), to, std::move(slot)));
  }
}

// --- Names ---

std::string Egress::answer_to(const DnsQuery& query) {
  ++meter_.usage().questions;
  const auto name = normal_name(query.name);
  const Policy::Verdict verdict = policy_.judge_question(query.name);
  if (verdict.allows()) {
    if (query.type != DnsType::a) return encode_dns_answer(query, DnsCode::no_error);
    return encode_dns_answer(query, names_.address_of(*name));
  }
  // Tools look up the names of addresses (PTR), and services of hosts (SRV), without being asked
  // to: nobody needs to hear of it.
  const bool is_by_itself = name && (name->ends_with(".arpa") || is_service_of_listed(*name));
  if (is_by_itself) return encode_dns_answer(query, DnsCode::nx_domain);
  const std::string shown = query.name.empty() ? "." : query.name;
  tell({name.value_or(shown), kDnsPort, why_not(verdict.says), verdict.rule});
  return encode_dns_answer(query, kNotListed);
}

bool Egress::is_service_of_listed(std::string_view name) const {
  bool is_service = false;
  while (name.starts_with('_') && name.find('.') != std::string_view::npos) {
    name.remove_prefix(name.find('.') + 1);
    is_service = true;
  }
  return is_service && policy_.judge_question(name).allows();
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

asio::awaitable<void> Egress::serve(Tcp::socket socket, Tcp::endpoint to, Slot slot) {
  try {
    if (to.port() == kProxyPort) {
      co_await proxy(socket, std::move(slot));
    } else {
      co_await connect(socket, to, std::move(slot));
    }
  } catch (const boost::system::system_error&) {
    // The client left in the middle, or close() ends us: nothing that is worth a line in the log.
  }
}

Egress::Target Egress::target_of(const Tcp::endpoint& destination) const {
  const asio::ip::address address = unmapped(destination.address());
  return {names_.name_of(address).value_or(""), address, destination.port()};
}

std::optional<Refusal> Egress::refusal_of(const Target& target) const {
  const bool is_unknown = is_synthetic(target.address) && target.name.empty();
  if (is_unknown) return Refusal{target.text(), target.port, Why::unknown_address};
  const Policy::Verdict verdict = target.name.empty()
                                      ? policy_.judge_address(target.address, target.port)
                                      : policy_.judge_name(target.name, target.port);
  if (verdict.allows()) return std::nullopt;
  return Refusal{target.text(), target.port, why_not(verdict.says), verdict.rule};
}

asio::awaitable<void> Egress::connect(Tcp::socket& socket, Tcp::endpoint to, Slot slot) {
  const Target target = target_of(to);
  if (auto refusal = refusal_of(target)) co_return co_await refuse(socket, *std::move(refusal));
  co_await serve_target(socket, target, "", std::move(slot));
}

asio::awaitable<bool> Egress::check_name(Tcp::socket& socket, Target target, std::string& head) {
  const bool must_say_name =
      target.port == kTlsPort || target.port == kHttpPort || looks_at(target);
  if (!must_say_name) co_return true;
  if (target.name.empty() && !policy_.denies_names(target.port)) co_return true;
  const auto peek = target.port == kTlsPort    ? peek_client_hello
                    : target.port == kHttpPort ? peek_http_host
                                               : peek_either;
  const PeekedName said = co_await read_head(socket, head, peek, options_.head_limit);
  if (said.state == PeekedName::State::more) co_return false;
  if (said.name == target.name) co_return true;
  if (target.name.empty()) {  // Who is allowed the address need not say a name, but no denied one.
    const Policy::Verdict verdict = policy_.judge_name(said.name, target.port);
    if (verdict.says != Policy::Says::denied) co_return true;
    Refusal denied{said.name, target.port, Why::denied, verdict.rule};
    co_await refuse(socket, std::move(denied));
    co_return false;
  }
  Refusal refusal{said.name.empty() ? target.name : said.name, target.port, why_not(said.state)};
  co_await refuse(socket, std::move(refusal));
  co_return false;
}

asio::awaitable<std::vector<asio::ip::address>> Egress::lookup(std::string name) {
  struct Turn {
    std::shared_ptr<std::deque<async::Serial>> all;
    async::Serial::Turn one;
  };
  async::Serial& lookups = lookups_->at(std::hash<std::string>()(name) % kLookupsMax);
  async::Serial::Turn turn = co_await lookups.turn();
  auto work = std::make_shared<Turn>(lookups_, std::move(turn));
  co_return co_await resolver_.resolve(std::move(name), cell_id_, std::move(work));
}

asio::awaitable<Egress::Reached> Egress::reach(Target target) {
  auto judge = [this, port = target.port](const asio::ip::address& address) {
    return policy_.judge_upstream(address, port);
  };
  co_return co_await reach_judged(std::move(target), std::move(judge));
}

asio::awaitable<Egress::Reached> Egress::reach_judged(Target target, Judge judge) {
  std::vector<asio::ip::address> addresses(1, target.address);
  Policy::Verdict refused;
  if (!target.name.empty()) {
    addresses = co_await lookup(target.name);
    if (addresses.empty()) co_return Unreachable();
    // Judged where they are dialed, and not asked for again: a name cannot change in between.
    std::erase_if(addresses, [&](const asio::ip::address& address) {
      Policy::Verdict verdict = judge(address);
      if (!verdict.allows()) refused = verdict;
      return !verdict.allows();
    });
  }
  if (addresses.empty()) {
    co_return Refusal{target.name, target.port, why_not(refused.says), refused.rule};
  }
  std::vector<Tcp::endpoint> endpoints;
  for (const asio::ip::address& address : addresses) {
    if (endpoints.size() == kAddressesTriedMax) break;
    endpoints.push_back(options_.dial_address(Tcp::endpoint(address, target.port)));
  }
  auto upstream = co_await dial(std::move(endpoints), options_.connect_limit);
  if (!upstream) co_return Unreachable();
  upstream->set_option(Tcp::no_delay(true));
  co_return std::move(*upstream);
}

void Egress::join(Tcp::socket& socket, Tcp::socket upstream, Target target, std::string head,
                  Slot slot) {
  socket.set_option(Tcp::no_delay(true));
  const auto joined = std::make_shared<Joined>(std::move(socket), std::move(upstream),
                                               options_.idle_limit, std::move(slot));
  joined->may_send = judge_of_clear(std::move(target), head);
  tasks_.spawn(pump(joined, Way::down, {}, meter_));
  tasks_.spawn(pump(joined, Way::up, std::move(head), meter_));
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

void Egress::count_failure(const Target& target) {
  ++meter_.usage().failures;
  log::debug("cell {}: {}:{} cannot be reached", log::cell(cell_id_), target.text(), target.port);
}

asio::awaitable<void> Egress::fail(Tcp::socket& socket, Target target) {
  count_failure(target);
  if (target.port == kHttpPort) {
    co_await close_with(socket, unreachable_response(target.text()));
  } else {
    reset(socket);
  }
}

}  // namespace cellar::net
