#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http/exchange.h"

namespace cellar::net {
class TlsIdentities;
}

namespace cellar::http {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: a free one
  std::size_t connections_max = 16'384;
  std::size_t header_bytes_max = 64 << 10;
  std::chrono::seconds header_limit{30};      // for a request's head to come
  std::chrono::seconds keep_alive_limit{75};  // between two requests
  std::chrono::seconds body_limit{600};       // for a body to come
  std::size_t bodies_bytes_max = 512 << 20;   // in memory, of all requests; more: see read_body()
  std::size_t answers_bytes_max = 1 << 30;    // in memory, not taken yet; more: see respond()
  std::chrono::seconds write_limit{30};       // for the client to take what is sent
  std::size_t write_bytes_per_s = 32 << 10;   // of a large answer, at least, behind that
  net::TlsIdentities* tls = nullptr;          // to whom it speaks TLS; must outlive the server
  std::size_t handshakes_max = 256;           // at a time; beyond them the oldest is closed
  std::chrono::seconds handshake_limit{10};
  // Each takes the loop up to 1 ms: more wait to be accepted.
  int handshakes_per_s = 200;
  int handshakes_burst = 200;
};

// An HTTP/1.1 server: each connection is a coroutine that reads a request, lets `handler` answer
// it, and goes on with the next one. Loop thread only.
//
// The handler must not let anything but cancellation escape; what does is logged, and the
// connection is closed. It is canceled when the client goes away.
class Server {
 public:
  using Handler = std::function<asio::awaitable<void>(Exchange&)>;

  // Listens at once. Throws Error naming the address that cannot be listened on.
  Server(asio::any_io_executor executor, ServerOptions options, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;

  // Serves until drain().
  asio::awaitable<void> run();
  // Takes no more requests, and waits for those under way at most `limit`.
  asio::awaitable<void> drain(std::chrono::milliseconds limit);
  // Ends the rest.
  asio::awaitable<void> close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cellar::http
