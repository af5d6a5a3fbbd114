#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cell/network.h"
#include "cell/spawner.h"
#include "net/egress.h"

namespace cellar::cell {

// The way out of one domain: listeners of the daemon in the domain's network namespace, and what
// they let through (net/egress.h). Loop thread only.
class EgressPort {
 public:
  // What all cells share.
  struct Outside {
    net::Resolver& resolver;
    net::TlsClient& tls;
    const net::Policy& forwards;
  };
  // `domain` is "agent" or "shell". What is outside, and `network`, must outlive it.
  EgressPort(asio::any_io_executor executor, std::string cell_id, std::string domain,
             Outside outside, Network& network, net::Policy policy);
  ~EgressPort();
  EgressPort(const EgressPort&) = delete;
  EgressPort& operator=(const EgressPort&) = delete;

  // Serves the domain's network namespace. Throws Error.
  asio::awaitable<void> open(Spawner& spawner, sys::Fd name_space);
  // For new questions and connections; listen() comes next.
  void set_policy(net::Policy policy);
  // See net::Egress.
  void set_injection(std::shared_ptr<const net::Injection> injection,
                     std::shared_ptr<net::TlsAuthority> authority);
  // Listens where it has to and does not yet: one listener takes what goes to other addresses than
  // the domain's own, those of ports what goes to these; where this machine has no such listener,
  // each port of the policy has its own. Ports that a program of the domain has bound are left to
  // it: see taken_ports().
  asio::awaitable<void> listen(Spawner& spawner);
  asio::awaitable<void> close();

  const std::set<std::uint16_t>& taken_ports() const noexcept { return taken_; }
  std::size_t open_count() const noexcept { return egress_ ? egress_->open_count() : 0; }

 private:
  using Ports = std::vector<sandbox::ListenIn::Port>;
  // Those of `tcp_ports` that are not listened on.
  Ports missing(const std::vector<std::uint16_t>& tcp_ports) const;
  asio::awaitable<void> listen_where_free(Spawner& spawner, Ports ports);
  // False where no socket could be had.
  asio::awaitable<bool> listen_on(Spawner& spawner, Ports ports);

  asio::any_io_executor executor_;
  std::string cell_id_;
  std::string domain_;
  Outside outside_;
  Network& network_;
  net::Policy policy_;
  std::shared_ptr<const net::Injection> injection_;
  std::shared_ptr<net::TlsAuthority> authority_;
  sys::Fd name_space_;
  std::set<std::uint16_t> tcp_ports_;  // that are listened on
  bool answers_datagrams_ = false;
  sys::Fd catch_all_;  // while it is open, the listener of the proxy's port takes all
  std::set<std::uint16_t> taken_;
  std::unique_ptr<net::Egress> egress_;
};

}  // namespace cellar::cell
