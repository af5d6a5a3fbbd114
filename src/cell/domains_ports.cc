// The domains' networks: the way out, what listens in the shell domain, and how the daemon gets
// there.

#include "base/error.h"
#include "cell/domains.h"
#include "cell/ports.h"
#include "sys/network_namespace.h"

namespace cellar::cell {

void Domains::throw_lost(Kind kind) const {
  throw Error(
      ErrorCode::unavailable, "domain_lost",
      "cell " + spec_.cell_id + " has no " + std::string(name_of(kind)) + " domain that runs");
}

// The namespace is held from then on: its number may come to mean another process.
bool Domains::hold_network(Domain& domain) {
  if (domain.network) return true;
  if (!domain.init) return false;
  auto opened = sys::open_network_of(*domain.init);
  if (!opened) return false;
  domain.network = std::move(*opened);
  return true;
}

asio::awaitable<void> Domains::open_egress(Kind kind) {
  Domain& domain = of(kind);
  network_.meter().set_limits(spec_.network.limits);
  const auto contents = co_await vault_.open_for_network();
  auto network = domain.init ? sys::open_network_of(*domain.init) : std::nullopt;
  if (!network) throw_lost(kind);
  domain.egress = std::make_unique<EgressPort>(
      machine_.executor, spec_.cell_id, std::string(name_of(kind)),
      EgressPort::Outside{machine_.resolver, machine_.tls, machine_.forwards}, network_,
      net::Policy::parse(spec_.network.of(kind)));
  domain.egress->set_injection(contents->injection(kind), contents->authority);
  co_await domain.egress->open(machine_.spawner, std::move(*network));
}

asio::awaitable<sys::Fd> Domains::shell_socket(sandbox::SocketIn::Kind kind) {
  Domain& domain = of(Kind::shell);
  if (!hold_network(domain)) throw_lost(Kind::shell);
  sys::Fd network = sys::duplicate(domain.network.get());
  co_return co_await machine_.spawner.socket_in(std::move(network), kind);
}

asio::awaitable<std::vector<sys::ListeningPort>> Domains::listening() {
  Domain& domain = of(Kind::shell);
  if (are_fresh_ || !domain.init) co_return std::vector<sys::ListeningPort>();
  if (!domain.diagnostics) {
    if (!hold_network(domain)) co_return std::vector<sys::ListeningPort>();
    const sys::ProcessId init = *domain.init;
    sys::Fd made = co_await shell_socket(sandbox::SocketIn::Kind::diagnostics);
    if (domain.init != init) co_return std::vector<sys::ListeningPort>();  // It ended meanwhile.
    domain.diagnostics = std::move(made);
  }
  sys::ListeningPorts found = sys::listening_ports(domain.diagnostics.get());
  if (!found.is_whole) domain.diagnostics.reset();
  co_return servers_of_cell(std::move(found.list));
}

}  // namespace cellar::cell
