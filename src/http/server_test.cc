#include "http/server.h"

#include <doctest/doctest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/event.h"
#include "async/sleep.h"
#include "async/task_group.h"
#include "base/error.h"

namespace cellar::http {
namespace {

using asio::ip::tcp;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBodyMax = 1000;

// What the tests ask for; `left` is set when a handler was canceled.
asio::awaitable<void> answer(Exchange& exchange, async::Event& left) {
  const std::string& path = exchange.request().path;
  Response response;
  if (path == "/echo") {
    response.body = co_await exchange.read_body(kBodyMax);
    co_await exchange.respond(std::move(response));
  } else if (path == "/stream") {
    co_await exchange.start_stream(std::move(response));
    co_await exchange.send("one");
    co_await exchange.send("two");
    co_await exchange.finish();
  } else if (path == "/ended") {
    throw Error(ErrorCode::canceled, "what it waits for was closed");
  } else if (path == "/wait") {
    const std::chrono::hours kLong(1);
    try {
      co_await async::sleep_for(kLong);
    } catch (const Error&) {
      left.set();
      throw;
    }
  } else {
    response.body = exchange.request().has_broken_query ? "broken" : path;
    co_await exchange.respond(std::move(response));
  }
}

asio::awaitable<void> answer_or_refuse(Exchange& exchange, async::Event& left) {
  bool too_large = false;
  try {
    co_await answer(exchange, left);
  } catch (const Error& error) {
    if (error.reason() != "body_too_large") throw;
    too_large = true;
  }
  if (!too_large) co_return;
  Response response{.status = 413};
  co_await exchange.respond(std::move(response));
}

// Runs `test` in a loop with a server; the test gets its port.
using Test = std::function<asio::awaitable<void>(std::uint16_t port, async::Event& left)>;
void with_server(const Test& test, ServerOptions options = {}) {
  asio::io_context loop;
  async::Event left(loop.get_executor());
  Server server(loop.get_executor(), options,
                [&left](Exchange& exchange) { return answer_or_refuse(exchange, left); });
  std::exception_ptr failure;
  auto drive = [&]() -> asio::awaitable<void> {
    async::TaskGroup tasks(loop.get_executor());
    tasks.spawn(server.run());
    std::exception_ptr failed;
    try {
      co_await test(server.port(), left);
    } catch (...) {
      failed = std::current_exception();
    }
    const std::chrono::milliseconds kLimit(1000);
    co_await server.drain(kLimit);
    co_await server.close();
    co_await tasks.close();
    if (failed) std::rethrow_exception(failed);
  };
  asio::co_spawn(loop, drive(), [&](const std::exception_ptr& error) { failure = error; });
  loop.run();
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<tcp::socket> connect(std::uint16_t port) {
  tcp::socket socket(co_await asio::this_coro::executor);
  const tcp::endpoint server(asio::ip::address_v4::loopback(), port);
  co_await socket.async_connect(server, asio::use_awaitable);
  co_return socket;
}

asio::awaitable<std::string> read_to_end(tcp::socket& socket) {
  std::string text;
  co_await asio::async_read(socket, asio::dynamic_buffer(text), kAsTuple);
  co_return text;
}

// Sends raw bytes and gives all that comes back until the server closes.
asio::awaitable<std::string> talk(std::uint16_t port, std::string bytes) {
  tcp::socket socket = co_await connect(port);
  co_await asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable);
  co_return co_await read_to_end(socket);
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("a connection serves one request after the other, with bodies of both kinds") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply = co_await talk(
        port,
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(count(reply, "HTTP/1.1 200 OK") == 4);
    for (const char* body : {"/a", "hello", "abc", "/last"}) CHECK(count(reply, body) == 1);
  });
}

TEST_CASE("a body above the limit is refused, announced or not") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string announced =
        co_await talk(port, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    CHECK(announced.starts_with("HTTP/1.1 413"));
    const std::string chunked =
        co_await talk(port, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                std::string("7d0\r\n") + std::string(2000, 'x') + "\r\n0\r\n\r\n");
    CHECK(chunked.starts_with("HTTP/1.1 413"));
  });
}

TEST_CASE("a stream is sent piece by piece and says where it ends") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply =
        co_await talk(port, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(reply.find("Transfer-Encoding: chunked") != reply.npos);
    CHECK(reply.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  });
}

TEST_CASE("a client that leaves cancels its handler") {
  with_server([](std::uint16_t port, async::Event& left) -> asio::awaitable<void> {
    tcp::socket socket = co_await connect(port);
    const std::string request = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(request), asio::use_awaitable);
    socket.close();
    const std::chrono::seconds kLimit(10);
    const bool canceled = co_await left.wait_for(kLimit);
    CHECK(canceled);
  });
}

TEST_CASE("a handler that was canceled by somebody else than its client is answered with 503") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply =
        co_await talk(port, "GET /ended HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(reply.starts_with("HTTP/1.1 503"));
    CHECK(reply.find("\"code\":\"ended_meanwhile\",\"retryable\":true") != reply.npos);
  });
}

TEST_CASE("what is no request is answered once, and the server lives on") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string garbage = co_await talk(port, "hello there\r\n\r\n");
    CHECK(garbage.starts_with("HTTP/1.1 400"));
    const std::string query =
        co_await talk(port, "GET /?a=% HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(query.ends_with("broken"));
    const std::string head =
        co_await talk(port, "GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 431"));
    const std::string fine =
        co_await talk(port, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(fine.ends_with("/x"));
  });
}

TEST_CASE("above the limit of connections a new one is closed at once") {
  with_server(
      [](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
        tcp::socket first = co_await connect(port);
        const std::string request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        co_await asio::async_write(first, asio::buffer(request), asio::use_awaitable);
        std::string reply(12, '\0');
        co_await asio::async_read(first, asio::buffer(reply), asio::use_awaitable);
        CHECK(reply == "HTTP/1.1 200");
        tcp::socket second = co_await connect(port);
        const std::string nothing = co_await read_to_end(second);
        CHECK(nothing.empty());
      },
      {.connections_max = 1});
}

}  // namespace cellar::http
