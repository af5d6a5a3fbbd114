#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <variant>

#include "net/channel.h"

namespace cellar::net {

// TLS to real hosts: 1.2 or later, with a certificate of a root that this machine trusts, for that
// very name. Loop thread only.
class TlsClient {
 public:
  // Trusts the machine's roots, and those in the PEM file, where one is named. Throws Error
  // `invalid_argument` where that does not read. Blocking.
  explicit TlsClient(const std::string& more_roots_file = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Why the server is not believed: "certificate has expired".
  struct Distrust {
    std::string why;
  };
  // Throws boost::system::system_error where there is no TLS, and after `limit`.
  asio::awaitable<std::variant<std::unique_ptr<Channel>, Distrust>> connect(
      asio::ip::tcp::socket socket, std::string name, std::chrono::milliseconds limit);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace cellar::net
