#include <doctest/doctest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/task_group.h"
#include "http/server.h"
#include "net/tls_authority.h"
#include "net/tls_identity.h"

namespace cellar::http {
namespace {

using Tcp = asio::ip::tcp;

// All that a server with TLS says to who sends `words` in clear, until it closes; so many `tries`
// at once, of which the first one is listened to.
std::string told(const std::string& words, std::size_t tries, ServerOptions options) {
  const auto authority = net::TlsAuthority::make("ca");
  const std::string text = authority.make_host("a.test", wall_now());
  net::TlsIdentities identities(net::TlsIdentity::from_pem(text, text, wall_now()));
  options.tls = &identities;
  asio::io_context loop;
  auto answer = [](Exchange&) -> asio::awaitable<void> { co_return; };
  Server server(loop.get_executor(), options, answer);
  std::string heard;
  auto listen_to = [&](Tcp::socket& socket) -> asio::awaitable<void> {
    std::string said(4096, '\0');
    const auto [error, size] =
        co_await asio::async_read(socket, asio::buffer(said), asio::as_tuple(asio::use_awaitable));
    heard = said.substr(0, size);
  };
  auto drive = [&]() -> asio::awaitable<void> {
    async::TaskGroup tasks(loop.get_executor());
    tasks.spawn(server.run());
    std::vector<Tcp::socket> sockets;
    for (std::size_t i = 0; i < tries; ++i) {
      Tcp::socket& socket = sockets.emplace_back(loop);
      const Tcp::endpoint to(asio::ip::address_v4::loopback(), server.port());
      co_await socket.async_connect(to, asio::use_awaitable);
      co_await asio::async_write(socket, asio::buffer(words), asio::use_awaitable);
    }
    co_await listen_to(sockets.front());
    const std::chrono::milliseconds kLimit(1000);
    co_await server.drain(kLimit);
    co_await server.close();
    co_await tasks.close();
  };
  asio::co_spawn(loop, drive(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  return heard;
}

}  // namespace

TEST_CASE("a client that speaks no TLS is told so, where that is what is spoken") {
  const std::string heard = told("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, {});
  CHECK(heard.find("400 Bad Request") != std::string::npos);
  CHECK(heard.find("write https://") != std::string::npos);
}

TEST_CASE("a handshake has a time, and there are so many at a time: the oldest gives way") {
  const std::string begun("\x16\x03\x01", 3);
  const auto began = std::chrono::steady_clock::now();
  ServerOptions brief;
  brief.handshake_limit = std::chrono::seconds(1);
  CHECK(told(begun, 1, brief).empty());
  ServerOptions few;
  few.handshake_limit = std::chrono::seconds(60);
  few.handshakes_max = 2;
  CHECK(told(begun, 3, few).empty());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

}  // namespace cellar::http
