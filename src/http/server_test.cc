#include "http/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>

#include "async/event.h"
#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "base/error.h"
#include "http/traffic.h"

namespace cellar::http {
namespace {

using asio::ip::tcp;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBodyMax = 1000;
constexpr std::size_t kLargeBytes = 12 << 20;
constexpr std::size_t kMiB = 1 << 20;

// Sends without an end, 1 KiB at a time.
asio::awaitable<void> flood(Exchange& exchange, async::Event& left) {
  Response response;
  co_await exchange.start_stream(std::move(response));
  try {
    for (;;) {
      std::string piece(1024, 'x');
      co_await exchange.send(std::move(piece));
    }
  } catch (const Error&) {
    left.set();
    throw;
  }
}

// Sends so many pieces of 1 KiB with nothing to wait for; the last one says whether somebody else
// had a turn meanwhile.
asio::awaitable<void> send_many(Exchange& exchange, int count) {
  const auto had_turn = std::make_shared<bool>(false);  // The turn may come after the end.
  const auto executor = co_await asio::this_coro::executor;
  asio::post(executor, [had_turn] { *had_turn = true; });
  Response response;
  co_await exchange.start_stream(std::move(response));
  for (int i = 0; i < count; ++i) {
    std::string piece(1024, 'x');
    co_await exchange.send(std::move(piece));
  }
  std::string last = *had_turn ? "others too" : "alone";
  co_await exchange.send(std::move(last));
  co_await exchange.finish();
}

// Sends one large piece, or says that it has no room.
asio::awaitable<void> send_large_piece(Exchange& exchange) {
  Response response;
  co_await exchange.start_stream(std::move(response));
  bool is_full = false;
  try {
    std::string piece(kLargeBytes, 'x');
    co_await exchange.send(std::move(piece));
  } catch (const Error& error) {
    is_full = error.reason() == kAnswersFull;
    if (!is_full) throw;
  }
  if (is_full) co_await exchange.send("no room");
  co_await exchange.finish();
}

// Begins an answer and waits; then `left` is set where it is known who it was that has left.
asio::awaitable<void> await_reset(Exchange& exchange, async::Event& left) {
  const bool was_there = !exchange.is_client_gone();
  Response response;
  co_await exchange.start_stream(std::move(response));
  const std::chrono::hours kLong(1);
  try {
    co_await async::sleep_for(kLong);
  } catch (const Error&) {
    const bool is_known = exchange.client_address() == "127.0.0.1";
    if (was_there && is_known && exchange.is_client_gone()) left.set();
    throw;
  }
}

// What the tests ask for; `left` is set when a handler was canceled, or has its body.
asio::awaitable<void> answer(Exchange& exchange, async::Event& left) {
  const std::string& path = exchange.request().path;
  Response response;
  if (path == "/echo") {
    response.body = co_await exchange.read_body(kBodyMax);
    co_await exchange.respond(std::move(response));
  } else if (path == "/measure") {
    const std::string body = co_await exchange.read_body(kMiB);
    response.body = std::to_string(body.size()) + " bytes";
    co_await exchange.respond(std::move(response));
  } else if (path == "/keep") {
    const std::string body = co_await exchange.read_body(kMiB);
    left.set();  // That is: there it is.
    const std::chrono::hours kLong(1);
    co_await async::sleep_for(kLong);
  } else if (path == "/stream") {
    co_await exchange.start_stream(std::move(response));
    co_await exchange.send("one");
    co_await exchange.send("two");
    co_await exchange.finish();
  } else if (path == "/reset") {
    co_await await_reset(exchange, left);
  } else if (path == "/piece") {
    co_await send_large_piece(exchange);
  } else if (path == "/flood") {
    co_await flood(exchange, left);
  } else if (path == "/nothing") {
    response = {.status = 204, .body = "not sent", .headers = {{"X-Test", "yes"}}};
    co_await exchange.respond(std::move(response));
  } else if (path == "/large") {
    response.body = std::string(kLargeBytes, 'x');
    co_await exchange.respond(std::move(response));
  } else if (path == "/few" || path == "/many") {
    co_await send_many(exchange, path == "/few" ? 1 : 70);
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
  int status = 0;
  try {
    co_await answer(exchange, left);
  } catch (const Error& error) {
    if (error.reason() == "body_too_large") status = 413;
    if (error.reason() == "chunk_too_large") status = 400;
    if (error.reason() == "bodies_full") status = 503;
    if (error.reason() == "answers_full") status = 507;
    if (status == 0) throw;
  }
  if (status == 0) co_return;
  Response response{.status = status};
  co_await exchange.respond(std::move(response));
}

// Runs `test` in a loop with a server; the test gets its port.
using Test = std::function<asio::awaitable<void>(std::uint16_t port, async::Event& left)>;
void with_server(const Test& test, ServerOptions options = {}) {
  asio::io_context loop;
  async::Event left(loop.get_executor());
  Server server(loop.get_executor(), options,
                [&left](Exchange& exchange) { return answer_or_refuse(exchange, left); });
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
  async::run_on(loop, drive());
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

TEST_CASE("what stands between the chunks of a body is not kept without a limit") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string large(200'000, 'x');
    const std::string extension = co_await talk(port, head + "1;" + large + "\r\na\r\n0\r\n\r\n");
    CHECK(extension.starts_with("HTTP/1.1 400"));
    const std::string trailer =
        co_await talk(port, head + "1\r\na\r\n0\r\nA: " + large + "\r\n\r\n");
    CHECK(trailer.starts_with("HTTP/1.1 400"));
  });
}

TEST_CASE("bodies have so much memory together, and small ones are always taken") {
  with_server(
      [](std::uint16_t port, async::Event& is_there) -> asio::awaitable<void> {
        const auto post = [](const std::string& path, std::size_t bytes) {
          return "POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                 std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'x');
        };
        tcp::socket first = co_await connect(port);
        const std::string kept = post("/keep", kMiB);
        co_await asio::async_write(first, asio::buffer(kept), asio::use_awaitable);
        co_await is_there.wait();
        const std::string small = co_await talk(port, post("/measure", 1000));
        CHECK(small.ends_with("1000 bytes"));
        const std::string refused = co_await talk(port, post("/measure", kMiB / 2));
        CHECK(refused.starts_with("HTTP/1.1 503"));
        const std::string fits = co_await talk(port, post("/measure", kMiB / 8));
        CHECK(fits.ends_with(" bytes"));
        first.close();  // Its handler is canceled soon.
        std::string next;
        for (int tries = 0; tries < 1000 && !next.ends_with(" bytes"); ++tries) {
          next = co_await talk(port, post("/measure", kMiB));
        }
        CHECK(next.ends_with(" bytes"));
      },
      {.bodies_bytes_max = kMiB + kMiB / 4});
}

TEST_CASE(
    "answers that nobody takes have so much memory together, and small ones are always sent") {
  with_server(
      [](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
        const auto get = [](const std::string& path) {
          return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        };
        tcp::socket first = co_await connect(port);
        const std::string large = get("/large");
        co_await asio::async_write(first, asio::buffer(large), asio::use_awaitable);
        char begin = 0;
        co_await asio::async_read(first, asio::buffer(&begin, 1), asio::use_awaitable);
        const std::string refused = co_await talk(port, get("/large"));
        CHECK(refused.starts_with("HTTP/1.1 507"));
        const std::string small = co_await talk(port, get("/small"));
        CHECK(small.ends_with("/small"));
        first.close();
        std::string next;
        for (int tries = 0; tries < 1000 && !next.starts_with("HTTP/1.1 200"); ++tries) {
          next = co_await talk(port, get("/large"));
        }
        CHECK(next.starts_with("HTTP/1.1 200"));
      },
      {.answers_bytes_max = kLargeBytes + kLargeBytes / 4});
}

TEST_CASE("what streams have sent and nobody takes counts as answers do") {
  with_server(
      [](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
        const std::string get = "GET /piece HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        tcp::socket first = co_await connect(port);
        co_await asio::async_write(first, asio::buffer(get), asio::use_awaitable);
        std::string begin(kSmallBodyBytes, '\0');  // The piece is on its way.
        co_await asio::async_read(first, asio::buffer(begin), asio::use_awaitable);
        const std::string refused = co_await talk(port, get);
        CHECK(refused.find("no room") != refused.npos);
        co_await read_to_end(first);
        const std::string next = co_await talk(port, get);
        CHECK(next.size() > kLargeBytes);
      },
      {.answers_bytes_max = kLargeBytes + kLargeBytes / 4});
}

TEST_CASE("a stream is sent piece by piece and says where it ends") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply =
        co_await talk(port, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(reply.find("Transfer-Encoding: chunked") != reply.npos);
    CHECK(reply.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  });
}

TEST_CASE("a stream to a client of HTTP/1.0 is not chunked, and ends with its connection") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply =
        co_await talk(port, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(reply.find("Transfer-Encoding") == reply.npos);
    CHECK(reply.find("Connection: close\r\n") != reply.npos);
    CHECK(reply.ends_with("\r\n\r\nonetwo"));
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

TEST_CASE("a client that reads nothing is cut off in time, and holds up nobody") {
  with_server(
      [](std::uint16_t port, async::Event& left) -> asio::awaitable<void> {
        tcp::socket slow = co_await connect(port);
        const std::string request = "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n";
        co_await asio::async_write(slow, asio::buffer(request), asio::use_awaitable);
        co_await slow.async_wait(tcp::socket::wait_read, asio::use_awaitable);
        const std::string other =
            co_await talk(port, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        CHECK(other.ends_with("/a"));
        CHECK_FALSE(left.is_set());
        const std::chrono::seconds kLimit(10);
        const bool cut_off = co_await left.wait_for(kLimit);
        CHECK(cut_off);
        // Its stream ends, and not as one that is whole.
        const std::string text = co_await read_to_end(slow);
        CHECK(text.starts_with("HTTP/1.1 200 OK"));
        CHECK_FALSE(text.ends_with("0\r\n\r\n"));
      },
      {.write_limit = std::chrono::seconds(1)});
}

TEST_CASE("a client that takes a large answer slowly gets all of it, however long that takes") {
  with_server(
      [](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
        tcp::socket slow(co_await asio::this_coro::executor, tcp::v4());
        slow.set_option(asio::socket_base::receive_buffer_size(64 << 10));
        const tcp::endpoint server(asio::ip::address_v4::loopback(), port);
        co_await slow.async_connect(server, asio::use_awaitable);
        const std::string request = "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        co_await asio::async_write(slow, asio::buffer(request), asio::use_awaitable);
        // Kernels hold some 4 MiB, and say that there is room again when a third of it is taken:
        // several times within each limit. The rest takes nearly two. By the clock, so that who is
        // late once is not late for ever.
        const std::size_t kBytesPerMs = 2400;
        const auto begin = std::chrono::steady_clock::now();
        std::string text;
        while (text.size() < kLargeBytes - (4 << 20)) {
          co_await async::sleep_for(std::chrono::milliseconds(50));
          const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::steady_clock::now() - begin);
          const std::size_t due = std::min(passed.count() * kBytesPerMs, kLargeBytes);
          std::string piece(due - text.size(), '\0');
          co_await asio::async_read(slow, asio::buffer(piece), asio::use_awaitable);
          text += piece;
        }
        text += co_await read_to_end(slow);
        CHECK(text.size() > kLargeBytes);
      },
      {.write_limit = std::chrono::seconds(2)});
}

TEST_CASE("a client that takes a large answer too slowly does not hold it for ever") {
  with_server(
      [](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
        tcp::socket slow(co_await asio::this_coro::executor, tcp::v4());
        slow.set_option(asio::socket_base::receive_buffer_size(64 << 10));
        const tcp::endpoint server(asio::ip::address_v4::loopback(), port);
        co_await slow.async_connect(server, asio::use_awaitable);
        const std::string request = "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        co_await asio::async_write(slow, asio::buffer(request), asio::use_awaitable);
        std::size_t taken = 0;
        boost::system::error_code error;
        while (!error) {  // Something within each limit, and far less than it has to.
          co_await async::sleep_for(std::chrono::milliseconds(100));
          std::string piece(256 << 10, '\0');
          taken += co_await asio::async_read(slow, asio::buffer(piece),
                                             asio::redirect_error(asio::use_awaitable, error));
        }
        CHECK(taken < kLargeBytes);
      },
      {.write_limit = std::chrono::seconds(1), .write_bytes_per_s = 1 << 30});
}

TEST_CASE("a stream that its client takes at once leaves others their turn") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string rest = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const std::string few = co_await talk(port, "GET /few" + rest);
    CHECK(few.find("alone") != few.npos);  // A short one goes out in one go.
    const std::string many = co_await talk(port, "GET /many" + rest);
    CHECK(many.find("others too") != many.npos);
  });
}

TEST_CASE("a client that had sent more than its request is noticed, too, when it leaves") {
  with_server([](std::uint16_t port, async::Event& left) -> asio::awaitable<void> {
    tcp::socket socket = co_await connect(port);
    const std::string request = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /";
    co_await asio::async_write(socket, asio::buffer(request), asio::use_awaitable);
    const asio::socket_base::linger kReset(true, 0);
    socket.set_option(kReset);
    socket.close();
    const std::chrono::seconds kLimit(10);
    const bool canceled = co_await left.wait_for(kLimit);
    CHECK(canceled);
  });
}

TEST_CASE("whose connection was reset is known to be gone, and where it came from") {
  with_server([](std::uint16_t port, async::Event& left) -> asio::awaitable<void> {
    tcp::socket socket = co_await connect(port);
    const std::string request = "GET /reset HTTP/1.1\r\nHost: x\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(request), asio::use_awaitable);
    co_await socket.async_wait(tcp::socket::wait_read, asio::use_awaitable);
    const asio::socket_base::linger kReset(true, 0);
    socket.set_option(kReset);
    socket.close();
    const std::chrono::seconds kLimit(10);
    const bool is_known = co_await left.wait_for(kLimit);
    CHECK(is_known);
  });
}

TEST_CASE("an answer says what it is, and one without a body has none") {
  with_server([](std::uint16_t port, async::Event&) -> asio::awaitable<void> {
    const std::string reply =
        co_await talk(port,
                      "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                      "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(reply ==
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
          "HTTP/1.1 204 No Content\r\nX-Test: yes\r\n\r\n"
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
          "Content-Length: 2\r\n\r\n/b");
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
