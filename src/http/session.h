#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>

#include "async/event.h"
#include "http/server.h"

namespace cellar::http {

// TLS of one connection that has not begun, in the list of all of them as long as it exists or
// until it has to give way.
class Handshake {
 public:
  using All = std::list<Handshake*>;  // the oldest first

  // Both outlive it.
  Handshake(All& all, asio::ip::tcp::socket& socket)
      : all_(all), socket_(socket), at_(all.insert(all.end(), this)) {}
  ~Handshake() {
    if (at_ != all_.end()) all_.erase(at_);
  }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  void give_way() {
    all_.erase(at_);
    at_ = all_.end();
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

 private:
  All& all_;
  asio::ip::tcp::socket& socket_;
  All::iterator at_;
};

// What the connections of a server share.
struct Traffic {
  bool draining = false;       // no connection takes another request
  std::size_t busy_count = 0;  // requests under way
  std::size_t body_bytes = 0;  // of their bodies, as far as they have come
  Handshake::All handshakes;
};

// One connection, from accept to close.
asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, const ServerOptions& options,
                                       const Server::Handler& handler, Traffic& traffic);

}  // namespace cellar::http
