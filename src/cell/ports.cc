#include "cell/ports.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <set>

#include "net/address.h"

namespace cellar::cell {
namespace {

namespace asio = boost::asio;

constexpr std::uint16_t kDefaultPortMin = 1024;

bool is_reached(const sys::ListeningPort& port) {
  const auto any = port.is_v6
                       ? asio::ip::address(asio::ip::address_v6(port.address))
                       : asio::ip::address(asio::ip::address_v4(
                             {port.address[0], port.address[1], port.address[2], port.address[3]}));
  const auto address = net::unmapped(any);
  return address.is_unspecified() || address.is_loopback();
}

}  // namespace

std::vector<sys::ListeningPort> servers_of_cell(std::vector<sys::ListeningPort> all) {
  std::erase_if(all,
                [](const sys::ListeningPort& port) { return port.uid == 0 || !is_reached(port); });
  return all;
}

std::optional<sys::ListeningPort> choose_port(const std::vector<sys::ListeningPort>& listening,
                                              std::optional<std::uint16_t> wanted,
                                              std::optional<std::uint16_t> configured) {
  const std::optional<std::uint16_t> exact = wanted ? wanted : configured;
  std::optional<sys::ListeningPort> best;
  for (const sys::ListeningPort& port : listening) {
    const bool fits = exact ? port.port == *exact : port.port >= kDefaultPortMin;
    if (!fits) continue;
    const bool is_better =
        !best || port.port < best->port || (port.port == best->port && best->is_v6 && !port.is_v6);
    if (is_better) best = port;
  }
  return best;
}

std::vector<PortTable::Change> PortTable::update(const std::vector<sys::ListeningPort>& listening,
                                                 WallTime now) {
  std::set<std::uint16_t> open;
  for (const sys::ListeningPort& port : listening) open.insert(port.port);
  while (open.size() > kCountMax) open.erase(std::prev(open.end()));
  std::vector<Change> changes;
  for (auto known = since_.begin(); known != since_.end();) {
    if (open.contains(known->first)) {
      ++known;
      continue;
    }
    changes.push_back({known->first, false});
    known = since_.erase(known);
  }
  for (const std::uint16_t port : open) {
    if (since_.try_emplace(port, now).second) changes.push_back({port, true});
  }
  return changes;
}

std::vector<OpenPort> PortTable::list() const {
  std::vector<OpenPort> list;
  for (const auto& [port, since] : since_) list.push_back({port, since});
  return list;
}

}  // namespace cellar::cell
