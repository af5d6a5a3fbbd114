#include "http/server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "http/session.h"
#include "net/pace.h"

namespace cellar::http {
namespace {

using Tcp = asio::ip::tcp;

// How long a server that is out of descriptors waits before it accepts again.
constexpr std::chrono::milliseconds kAcceptPause{50};

Tcp::acceptor listen(const asio::any_io_executor& executor, const ServerOptions& options) {
  const std::string address = options.host + ":" + std::to_string(options.port);
  try {
    const Tcp::endpoint endpoint(asio::ip::make_address(options.host), options.port);
    return Tcp::acceptor(executor, endpoint, true);
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::invalid_argument, "listen_failed",
                "listen on " + address + ": " + error.code().message(),
                "end what listens there, or choose another address");
  }
}

}  // namespace

struct Server::State {
  State(const asio::any_io_executor& executor, ServerOptions with, Handler by)
      : options(std::move(with)),
        handler(std::move(by)),
        acceptor(listen(executor, options)),
        handshakes(options.handshakes_per_s, options.handshakes_burst),
        connections(executor) {}

  ServerOptions options;
  Handler handler;
  Tcp::acceptor acceptor;
  net::Pace handshakes;
  Traffic traffic;
  async::TaskGroup connections;
};

Server::Server(asio::any_io_executor executor, ServerOptions options, Handler handler)
    : state_(std::make_unique<State>(executor, std::move(options), std::move(handler))) {}
Server::~Server() = default;

std::uint16_t Server::port() const { return state_->acceptor.local_endpoint().port(); }

asio::awaitable<void> Server::run() {
  while (!state_->traffic.draining) {
    Tcp::endpoint client;  // A connection that was reset does not tell it any more.
    auto [error, socket] =
        co_await state_->acceptor.async_accept(client, asio::as_tuple(asio::use_awaitable));
    if (state_->traffic.draining || error == asio::error::operation_aborted) co_return;
    if (error) {
      log::warning("accept: {}", error.message());
      co_await async::sleep_for(kAcceptPause);
      continue;
    }
    // Above the limit a connection is closed at once: it costs nothing that way.
    if (state_->connections.size() >= state_->options.connections_max) continue;
    if (state_->options.tls != nullptr) {
      // Who has had the longest time for it gives way: clients that never finish shut nobody out.
      Handshake::All& handshakes = state_->traffic.handshakes;
      if (handshakes.size() >= state_->options.handshakes_max) handshakes.front()->give_way();
      const auto wait = state_->handshakes.next(std::chrono::steady_clock::now());
      if (wait > std::chrono::milliseconds(0)) co_await async::sleep_for(wait);
    }
    state_->connections.spawn(serve_connection(std::move(socket), client.address().to_string(),
                                               state_->options, state_->handler, state_->traffic));
  }
}

asio::awaitable<void> Server::drain(std::chrono::milliseconds limit) {
  state_->traffic.draining = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const std::chrono::milliseconds kPause(10);
  while (state_->traffic.busy_count > 0 && std::chrono::steady_clock::now() < give_up) {
    co_await async::sleep_for(kPause);
  }
}

asio::awaitable<void> Server::close() { co_await state_->connections.close(); }

}  // namespace cellar::http
