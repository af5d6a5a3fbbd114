#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "egress/policy.h"
#include "egress/synthetic.h"
#include "sys/fd.h"

namespace cellar::egress {

// A connection or a name that was refused.
struct Refusal {
  std::string target;  // a name or an address
  std::uint16_t port = 0;
  std::string why;
};

// The way out of one network namespace in which every address is local: what connects to anything
// there is accepted here. It resolves the allowed names, to addresses of its own; looks whom a
// connection is for; and splices it to the real host, or refuses it (docs/internals/network.md).
// Loop thread only.
class Egress {
 public:
  static constexpr std::size_t kConnectionsMax = 256;

  // Parts that tests replace.
  struct Seams {
    // All addresses of a name; empty where it has none.
    using Resolve =
        std::function<asio::awaitable<std::vector<asio::ip::address>>(std::string name)>;
    Resolve resolve;
    // Where an accepted connection was going; its local end, where every address is local.
    std::function<asio::ip::tcp::endpoint(const asio::ip::tcp::socket&)> destination;
  };
  static Seams real_seams();

  Egress(asio::any_io_executor executor, Policy policy,
         std::function<void(const Refusal&)> on_refusal, Seams seams = real_seams());
  ~Egress();
  Egress(const Egress&) = delete;
  Egress& operator=(const Egress&) = delete;

  // Begins to serve a listening socket, or a bound one for DNS. Non-blocking descriptors.
  void serve_tcp(sys::Fd listener, std::uint16_t port);
  void serve_dns(sys::Fd socket);

  // For connections and questions from now on.
  void set_policy(Policy policy) { policy_ = std::move(policy); }

  asio::awaitable<void> close();

 private:
  using Socket = asio::ip::tcp::socket;

  asio::awaitable<void> accept(std::shared_ptr<asio::ip::tcp::acceptor> acceptor,
                               std::uint16_t port);
  asio::awaitable<void> answer_dns(std::shared_ptr<asio::ip::udp::socket> socket);
  asio::awaitable<void> answer_dns_stream(Socket client);
  std::string answer_query(std::string_view bytes);
  asio::awaitable<void> serve(Socket client, std::uint16_t port);
  asio::awaitable<bool> is_as_said(Socket& client, const std::string& name, std::uint16_t port,
                                   std::string& first_bytes);
  asio::awaitable<std::vector<asio::ip::tcp::endpoint>> targets_of(std::string name,
                                                                   std::uint16_t port);
  void refuse(std::string target, std::uint16_t port, std::string why);

  asio::any_io_executor executor_;
  Policy policy_;
  std::function<void(const Refusal&)> on_refusal_;
  Seams seams_;
  SyntheticNames names_;
  std::size_t connection_count_ = 0;
  async::TaskGroup tasks_;
};

}  // namespace cellar::egress
