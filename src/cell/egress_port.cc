#include "cell/egress_port.h"

#include "base/error.h"
#include "base/log.h"
#include "net/dns.h"

namespace cellar::cell {

EgressPort::EgressPort(asio::any_io_executor executor, std::string cell_id, std::string domain,
                       Outside outside, Network& network, net::Policy policy)
    : executor_(std::move(executor)),
      cell_id_(std::move(cell_id)),
      domain_(std::move(domain)),
      outside_(outside),
      network_(network),
      policy_(std::move(policy)),
      injection_(std::make_shared<const net::Injection>()) {}

EgressPort::~EgressPort() = default;

asio::awaitable<void> EgressPort::open(Spawner& spawner, sys::Fd name_space) {
  name_space_ = std::move(name_space);
  auto say = [this](const net::Refusal& refusal) { network_.tell(domain_, refusal); };
  net::EgressOptions options;
  options.on_end = [this] { network_.note_use(); };
  options.tls = &outside_.tls;
  options.forwards = &outside_.forwards;
  egress_ = std::make_unique<net::Egress>(executor_, cell_id_, policy_,
                                          std::vector<net::Listener>(), outside_.resolver,
                                          network_.meter(), std::move(say), std::move(options));
  egress_->set_injection(injection_, authority_);
  co_await listen(spawner);
  if (!tcp_ports_.empty()) co_return;
  throw Error(ErrorCode::unavailable, "listen_failed",
              "the daemon cannot listen in the " + domain_ + " domain of cell " + cell_id_);
}

void EgressPort::set_policy(net::Policy policy) {
  policy_ = std::move(policy);
  if (egress_) egress_->set_policy(policy_);
}

void EgressPort::set_injection(std::shared_ptr<const net::Injection> injection,
                               std::shared_ptr<net::TlsAuthority> authority) {
  injection_ = std::move(injection);
  authority_ = std::move(authority);
  if (egress_) egress_->set_injection(injection_, authority_);
}

EgressPort::Ports EgressPort::missing(const std::vector<std::uint16_t>& tcp_ports) const {
  Ports ports;
  for (const std::uint16_t port : tcp_ports) {
    if (tcp_ports_.contains(port)) continue;
    ports.push_back({.port = port, .catches_all = port == net::kProxyPort});
  }
  return ports;
}

asio::awaitable<void> EgressPort::listen(Spawner& spawner) {
  taken_.clear();
  Ports always = missing({net::kDnsPort, net::kProxyPort});
  if (!answers_datagrams_) always.push_back({.port = net::kDnsPort, .udp = true});
  co_await listen_where_free(spawner, std::move(always));
  Ports of_policy = missing(catch_all_ ? policy_.loopback_ports() : policy_.tcp_ports());
  co_await listen_where_free(spawner, std::move(of_policy));
}

asio::awaitable<void> EgressPort::listen_where_free(Spawner& spawner, Ports ports) {
  if (!egress_ || ports.empty()) co_return;
  const bool done = co_await listen_on(spawner, ports);
  if (done) co_return;
  // One of them is taken: which one?
  for (const sandbox::ListenIn::Port& port : ports) {
    const Ports one(1, port);
    const bool is_free = co_await listen_on(spawner, one);
    if (is_free) continue;
    taken_.insert(port.port);
    log::warning("cell {}: a program in its {} has bound port {}: nothing is reached there",
                 log::cell(cell_id_), domain_, port.port);
  }
}

asio::awaitable<bool> EgressPort::listen_on(Spawner& spawner, Ports ports) {
  Spawner::Listeners made;
  try {
    made = co_await spawner.listen_in(sys::duplicate(name_space_.get()), ports);
  } catch (const Error& error) {
    const bool is_our_want = error.code() == ErrorCode::exhausted;
    if (error.code() == ErrorCode::canceled || is_our_want) throw;
    log::debug("cell {}: listen in its {}: {}", log::cell(cell_id_), domain_, error.what());
    co_return false;
  }
  if (!egress_) co_return true;  // close() came first: nobody needs them.
  if (made.catch_all) catch_all_ = std::move(made.catch_all);
  for (std::size_t i = 0; i < made.sockets.size(); ++i) {
    egress_->listen({std::move(made.sockets[i]), ports[i].udp});
    if (ports[i].udp) {
      answers_datagrams_ = true;
    } else {
      tcp_ports_.insert(ports[i].port);
    }
  }
  co_return true;
}

asio::awaitable<void> EgressPort::close() {
  if (egress_) co_await egress_->close();
  egress_.reset();
  catch_all_.reset();
  name_space_.reset();
  network_.save();
}

}  // namespace cellar::cell
