// What listens in the shell domain, and how the daemon gets there.

#include <fcntl.h>

#include "base/log.h"
#include "cell/domains.h"
#include "cell/ports.h"
#include "sys/file.h"
#include "sys/network_namespace.h"

namespace cellar::cell {

// The namespace is held from then on: its number may come to mean another process.
bool Domains::hold_network(Domain& domain) {
  if (domain.network) return true;
  if (!domain.init) return false;
  auto opened =
      sys::open_file_if_exists("/proc/" + std::to_string(domain.init->pid) + "/ns/net", O_RDONLY);
  // Whoever has the number after it was opened had it before.
  if (!opened || sys::identify(domain.init->pid) != *domain.init) return false;
  domain.network = std::move(*opened);
  return true;
}

asio::awaitable<sys::Fd> Domains::shell_socket(sandbox::SocketIn::Kind kind) {
  Domain& domain = of(Kind::shell);
  if (!hold_network(domain)) {
    throw Error(ErrorCode::unavailable, "domain_lost",
                "cell " + spec_.cell_id + " has no shell domain that runs");
  }
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
