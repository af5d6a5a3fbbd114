#include "cell/egress_port.h"

namespace cellar::cell {

struct EgressPort::State {};

EgressPort::EgressPort(asio::any_io_executor, std::string, const std::vector<std::string>&) {}
EgressPort::~EgressPort() = default;
void EgressPort::check(const std::vector<std::string>&) {}
asio::awaitable<void> EgressPort::open(Spawner&, std::string) { co_return; }
void EgressPort::set_allow(const std::vector<std::string>&) {}
asio::awaitable<void> EgressPort::close() { co_return; }

}  // namespace cellar::cell
