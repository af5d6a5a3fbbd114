#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cell/spawner.h"
#include "net/egress.h"

namespace cellar::cell {

// The way out of one domain: listeners of the daemon in the domain's network namespace, and what
// they let through (net/egress.h). Loop thread only.
class EgressPort {
 public:
  // `allow` has passed check(). `resolver` must outlive it.
  EgressPort(asio::any_io_executor executor, std::string cell_id, net::Resolver& resolver,
             const std::vector<std::string>& allow);
  ~EgressPort();
  EgressPort(const EgressPort&) = delete;
  EgressPort& operator=(const EgressPort&) = delete;

  // Throws Error `invalid_argument`, naming the entry.
  static void check(const std::vector<std::string>& allow);

  // Takes hold of the namespace at `network` ("/proc/PID/ns/net") and serves it. Throws Error.
  asio::awaitable<void> open(Spawner& spawner, std::string network);
  // For new connections; a port that was not listed before is listened on from the next start of
  // the domain on.
  void set_allow(const std::vector<std::string>& allow);
  asio::awaitable<void> close();

 private:
  asio::any_io_executor executor_;
  std::string cell_id_;
  net::Resolver& resolver_;
  net::Policy policy_;
  std::unique_ptr<net::Egress> egress_;
};

}  // namespace cellar::cell
