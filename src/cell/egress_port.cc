#include "cell/egress_port.h"

#include <fcntl.h>

#include "base/log.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::uint16_t kDnsPort = 53;

}  // namespace

EgressPort::EgressPort(asio::any_io_executor executor, std::string cell_id, net::Resolver& resolver,
                       const std::vector<std::string>& allow)
    : executor_(std::move(executor)),
      cell_id_(std::move(cell_id)),
      resolver_(resolver),
      policy_(net::Policy::parse(allow)) {}

EgressPort::~EgressPort() = default;

void EgressPort::check(const std::vector<std::string>& allow) { net::Policy::parse(allow); }

asio::awaitable<void> EgressPort::open(Spawner& spawner, std::string network) {
  std::vector<sandbox::ListenIn::Port> ports;
  ports.push_back({kDnsPort, true});
  ports.push_back({kDnsPort, false});
  for (const std::uint16_t port : policy_.tcp_ports()) {
    if (port != kDnsPort) ports.push_back({port, false});
  }
  sys::Fd name_space = sys::open_file(network, O_RDONLY);
  std::vector<sys::Fd> sockets = co_await spawner.listen_in(std::move(name_space), ports);
  std::vector<net::Listener> listeners;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    listeners.push_back({std::move(sockets[i]), ports[i].port, ports[i].udp});
  }
  auto say = [cell_id = cell_id_](const net::Refusal& refusal) {
    log::info("cell {}: {}:{} refused: {}", cell_id, refusal.target, refusal.port,
              net::to_string(refusal.why));
  };
  egress_ = std::make_unique<net::Egress>(executor_, cell_id_, policy_, std::move(listeners),
                                          resolver_, std::move(say));
}

void EgressPort::set_allow(const std::vector<std::string>& allow) {
  policy_ = net::Policy::parse(allow);
  if (egress_) egress_->set_policy(policy_);
}

asio::awaitable<void> EgressPort::close() {
  if (egress_) co_await egress_->close();
  egress_.reset();
}

}  // namespace cellar::cell
