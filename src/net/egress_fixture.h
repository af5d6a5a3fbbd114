#pragma once

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "net/egress.h"
#include "net/stream.h"

namespace cellar::net {

// For tests: answers from a table, at once.
class FakeResolver : public Resolver {
 public:
  asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host, std::string,
                                                          Work work) override {
    asked.push_back(host);
    if (goes_on) at_work.push_back(std::move(work));
    co_return table[host];
  }

  bool goes_on = false;  // with lookups that were answered
  std::vector<Work> at_work;

  std::map<std::string, std::vector<asio::ip::address>> table;
  std::vector<std::string> asked;
};

inline asio::ip::address ip(const std::string& text) { return asio::ip::make_address(text); }

// An egress with one listener for all connections, on a free port of the loopback address, one for
// datagrams, and an upstream there too.
// Whatever the egress dials is led to the upstream, which answers "<what it read until the end>".
class World {
 public:
  explicit World(const std::vector<std::string>& allow, EgressOptions options = {})
      : World(PolicyText{.allow = allow}, std::move(options)) {}
  explicit World(const PolicyText& policy, EgressOptions options = {})
      : upstream_(loop_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)), tasks_(executor()) {
    options.original_destination = [this](const Tcp::socket&) { return destination; };
    options.dial_address = [this](const Tcp::endpoint& endpoint) {
      dialed.push_back(endpoint.address().to_string() + ":" + std::to_string(endpoint.port()));
      return is_upstream_up ? upstream_.local_endpoint() : Tcp::endpoint(ip("127.0.0.1"), 0);
    };
    std::vector<Listener> listeners;
    Tcp::acceptor web(loop_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    asio::ip::udp::socket udp(loop_, asio::ip::udp::endpoint(asio::ip::address_v4::loopback(), 0));
    web_ = web.local_endpoint();
    udp_ = udp.local_endpoint();
    listeners.push_back({sys::Fd(web.release())});
    listeners.push_back({sys::Fd(udp.release()), true});
    auto on_refusal = [this](const Refusal& refusal) {
      refusals.push_back(refusal.target + ":" + std::to_string(refusal.port) + " " +
                         std::string(to_string(refusal.why)) +
                         (refusal.rule.empty() ? "" : " by " + refusal.rule));
    };
    egress = std::make_unique<Egress>(executor(), "c1", Policy::parse(policy), std::move(listeners),
                                      resolver, meter, on_refusal, std::move(options));
    tasks_.spawn(serve_upstream());
  }

  asio::any_io_executor executor() { return loop_.get_executor(); }

  // Runs `test` on the loop, then closes everything. Rethrows what the test throws.
  void run(asio::awaitable<void> test) { async::run_on(loop_, run_and_close(std::move(test))); }

  asio::awaitable<Tcp::socket> connect(const std::string& address, std::uint16_t port) {
    destination = Tcp::endpoint(ip(address), port);
    Tcp::socket socket(executor());
    co_await socket.async_connect(web_, asio::use_awaitable);
    co_return socket;
  }

  // Sends `bytes` and the end of the stream to this destination. Gives what comes back, "(reset)"
  // added where the connection did not end well.
  asio::awaitable<std::string> talk(std::string address, std::uint16_t port, std::string bytes) {
    Tcp::socket socket = co_await connect(address, port);
    co_await asio::async_write(socket, asio::buffer(bytes), kTuple);
    boost::system::error_code ignored;
    socket.shutdown(Tcp::socket::shutdown_send, ignored);
    co_return co_await read_all(socket);
  }

  static asio::awaitable<std::string> read_all(Tcp::socket& socket) {
    std::string answer;
    const auto [error, size] =
        co_await asio::async_read(socket, asio::dynamic_buffer(answer), kTuple);
    co_return answer + (error == asio::error::eof ? "" : "(reset)");
  }

  // The answer to a DNS query sent in a datagram.
  asio::awaitable<std::string> ask(std::string query) {
    asio::ip::udp::socket socket(executor(), asio::ip::udp::v4());
    co_await socket.async_send_to(asio::buffer(query), udp_, asio::use_awaitable);
    std::string answer(512, '\0');
    const auto size = co_await socket.async_receive(asio::buffer(answer), asio::use_awaitable);
    co_return answer.substr(0, size);
  }

  // Returns once the upstream has read so much in all.
  asio::awaitable<void> received(std::size_t byte_count) {
    while (upstream_bytes.size() < byte_count) {
      received_.reset();
      co_await received_.wait();
    }
  }

  FakeResolver resolver;
  Meter meter;
  std::string upstream_bytes;  // that all connections to it have brought
  Tcp::endpoint destination;   // of the next connection
  bool is_upstream_up = true;
  std::vector<std::string> dialed;    // what the egress wanted to reach
  std::vector<std::string> refusals;  // "target:port why", " by RULE"
  std::unique_ptr<Egress> egress;

 private:
  static constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

  asio::awaitable<void> run_and_close(asio::awaitable<void> test) {
    std::exception_ptr error;
    try {
      co_await std::move(test);
    } catch (...) {
      error = std::current_exception();
    }
    co_await egress->close();
    co_await tasks_.close();
    if (error) std::rethrow_exception(error);
  }

  asio::awaitable<void> serve_upstream() {
    for (;;) {
      auto [error, socket] = co_await upstream_.async_accept(kTuple);
      if (error) co_return;
      tasks_.spawn(echo(std::move(socket)));
    }
  }

  asio::awaitable<void> echo(Tcp::socket socket) {
    std::string greeting = "<";
    co_await asio::async_write(socket, asio::buffer(greeting), kTuple);
    std::string bytes;
    std::array<char, 65536> piece;
    for (;;) {
      const auto [error, size] = co_await socket.async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      bytes.append(piece.data(), size);
      upstream_bytes.append(piece.data(), size);
      received_.set();
    }
    bytes += ">";
    co_await asio::async_write(socket, asio::buffer(bytes), kTuple);
  }

  asio::io_context loop_{1};
  Tcp::acceptor upstream_;
  Tcp::endpoint web_;
  asio::ip::udp::endpoint udp_;
  async::Event received_{executor()};
  async::TaskGroup tasks_;
};

}  // namespace cellar::net
