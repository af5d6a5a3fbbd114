#include "http/relay.h"

#include <doctest/doctest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "base/error.h"
#include "http/server.h"

namespace cellar::http {
namespace {

using asio::ip::tcp;
constexpr auto kRelayTuple = asio::as_tuple(asio::use_awaitable);

// A server that takes one connection: reads up to `until`, answers `reply`, and goes on with
// `then`.
struct Script {
  std::string until;
  std::string reply;
  bool echoes = false;  // what comes after the reply, until its end
};

constexpr std::chrono::milliseconds kLater{40};

struct Stage {
  RelayLimits limits;
  std::vector<std::string> later;  // that the client sends, some time after each other
  int writes = 0;
  std::string seen;    // by the server
  std::string answer;  // to the client
};

asio::awaitable<void> play(tcp::acceptor& acceptor, const Script& script, std::string& seen) {
  tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
  co_await asio::async_read_until(socket, asio::dynamic_buffer(seen), script.until, kRelayTuple);
  co_await asio::async_write(socket, asio::buffer(script.reply), kRelayTuple);
  while (script.echoes) {
    std::string bytes(100, '\0');
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(bytes), kRelayTuple);
    if (error) co_return;
    co_await asio::async_write(socket, asio::buffer(bytes, size), kRelayTuple);
  }
}

asio::awaitable<void> pass_on(Exchange& exchange, tcp::endpoint server, Stage& stage) {
  tcp::socket socket(co_await asio::this_coro::executor);
  co_await socket.async_connect(server, asio::use_awaitable);
  RelayRequest request;
  request.target = "/inside";
  const Fields sent = exchange.fields();
  request.fields = end_to_end(sent);
  request.upgrade = upgrade_of(sent);
  RelayHooks hooks;
  hooks.before_write = [&stage]() -> asio::awaitable<void> {
    ++stage.writes;
    co_return;
  };
  hooks.edit_answer = [](int, Fields& fields) { remove(fields, "x-secret"); };
  std::string failure;
  try {
    co_await relay(exchange, std::move(socket), std::move(request), stage.limits, std::move(hooks));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw;
    failure = error.what();
  }
  if (failure.empty()) co_return;
  Response response{.status = 502, .body = failure};
  co_await exchange.respond(std::move(response));
}

// What a client that sends `request` and ends gets, and what the server saw of it.
Stage run(const std::string& request, const Script& script, RelayLimits limits = {},
          std::vector<std::string> later = {}) {
  asio::io_context loop;
  Stage stage{.limits = limits, .later = std::move(later)};
  tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
  const tcp::endpoint inside = acceptor.local_endpoint();
  Server server(loop.get_executor(), {},
                [&](Exchange& exchange) { return pass_on(exchange, inside, stage); });
  auto drive = [&]() -> asio::awaitable<void> {
    async::TaskGroup tasks(loop.get_executor());
    tasks.spawn(server.run());
    tasks.spawn(play(acceptor, script, stage.seen));
    tcp::socket client(loop);
    const tcp::endpoint outside(asio::ip::address_v4::loopback(), server.port());
    co_await client.async_connect(outside, asio::use_awaitable);
    co_await asio::async_write(client, asio::buffer(request), asio::use_awaitable);
    for (const std::string& piece : stage.later) {
      co_await async::sleep_for(kLater);
      co_await asio::async_write(client, asio::buffer(piece), kRelayTuple);
    }
    co_await asio::async_read(client, asio::dynamic_buffer(stage.answer), kRelayTuple);
    const std::chrono::milliseconds kLimit(1000);
    co_await server.drain(kLimit);
    co_await server.close();
    co_await tasks.close();
  };
  async::run_on(loop, drive());
  return stage;
}

}  // namespace

TEST_CASE("a request goes through framed anew, without what is between two neighbours") {
  const Stage stage =
      run("POST /outside?a=1 HTTP/1.1\r\nHost: cell\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n"
          "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nTrailer-Field: 1\r\n\r\n",
          {.until = "\r\n0\r\n\r\n",
           .reply = "HTTP/1.1 201 Made\r\nX-Secret: s\r\nKeep-Alive: 5\r\nSet-Cookie: a=1\r\n"
                    "Set-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"});
  CHECK(stage.seen ==
        "POST /inside HTTP/1.1\r\nHost: cell\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  CHECK(stage.answer ==
        "HTTP/1.1 201 Made\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\nok");
  CHECK(stage.writes >= 2);
}

TEST_CASE("an answer that ends with its connection is whole, one that breaks off is not") {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const Script to_the_end = {.until = "\r\n\r\n",
                             .reply = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall"};
  CHECK(run(get, to_the_end).answer.ends_with("3\r\nall\r\n0\r\n\r\n"));
  const Script cut = {.until = "\r\n\r\n",
                      .reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n"};
  const std::string answer = run(get, cut).answer;
  CHECK(answer.find("all") != answer.npos);
  CHECK_FALSE(answer.ends_with("0\r\n\r\n"));
  const Script bloated = {.until = "\r\n\r\n",
                          .reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                                   std::string(200'000, 'x') + "\r\na\r\n0\r\n\r\n"};
  CHECK_FALSE(run(get, bloated).answer.ends_with("0\r\n\r\n"));
}

TEST_CASE("a server without an answer is told of") {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  CHECK(run(get, {.until = "\r\n\r\n", .reply = ""}).answer.starts_with("HTTP/1.1 502"));
  CHECK(run(get, {.until = "\r\n\r\n", .reply = "SSH-2.0\r\n"}).answer.starts_with("HTTP/1.1 502"));
  const std::string large(70'000, 'x');
  CHECK(run(get, {.until = "\r\n\r\n", .reply = "HTTP/1.1 200 OK\r\nA: " + large})
            .answer.starts_with("HTTP/1.1 502"));
  std::string interim;
  for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  CHECK(run(get, {.until = "\r\n\r\n", .reply = interim}).answer.starts_with("HTTP/1.1 502"));
  const Script unasked = {.until = "\r\n\r\n",
                          .reply = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\n"};
  CHECK(run(get, unasked).answer.starts_with("HTTP/1.1 502"));
}

TEST_CASE("an upload may take longer than a server that waits for its end may be silent") {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
  const std::vector<std::string> slow(15, "x");
  const Script script = {.until = "\r\n\r\nxxxxxxxxxxxxxxx!",
                         .reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
  const RelayLimits limits = {.idle_limit = 10 * kLater};
  std::vector<std::string> whole = slow;
  whole.emplace_back("!");
  CHECK(run(head, script, limits, whole).answer.starts_with("HTTP/1.1 200"));
  const Stage late = run(head, script, {.idle_limit = kLater}, {"x"});
  CHECK(late.answer.find("nothing came in time") != late.answer.npos);
}

TEST_CASE("after an upgrade bytes go both ways until nothing comes any more") {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
  const Script script = {.until = "\r\n\r\n",
                         .reply =
                             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                             "Upgrade: websocket\r\n\r\nfirst-",
                         .echoes = true};
  const Stage stage = run(request, script, {.upgraded_idle_limit = std::chrono::milliseconds(50)});
  CHECK(stage.seen.find("Upgrade: websocket") != stage.seen.npos);
  CHECK(stage.answer.starts_with("HTTP/1.1 101 "));
  CHECK(stage.answer.ends_with("\r\n\r\nfirst-early"));
}

}  // namespace cellar::http
