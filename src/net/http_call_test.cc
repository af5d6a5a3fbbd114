#include "net/http_call.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "net/egress_fixture.h"

namespace cellar::net {
namespace {

constexpr const char* kChunkedAnswer =
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: "
    "A\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

// What a call gets of a server that answers these pieces, and then ends or stays.
struct Scene {
  std::vector<std::string> pieces;
  bool stays = false;
  bool is_aborted = false;
  HttpCallLimits limits{};

  std::string asked{};
  std::string seen{};  // of the answer, or the error

  void play();
};

asio::awaitable<void> answer_call(Tcp::acceptor& acceptor, Scene& scene, async::Event& done) {
  Tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
  std::string bytes(4096, '\0');
  while (!scene.asked.ends_with("body")) {
    const std::size_t size =
        co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    scene.asked.append(bytes, 0, size);
  }
  for (const std::string& piece : scene.pieces) {
    co_await asio::async_write(socket, asio::buffer(piece), kAsTuple);
  }
  if (scene.stays) co_await done.wait();
}

void Scene::play() {
  asio::io_context loop;
  Tcp::acceptor acceptor(loop, Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  FakeResolver resolver;
  resolver.table["model.example"] = {ip("127.0.0.1")};
  TlsClient tls;
  async::Event done(loop.get_executor());
  async::TaskGroup tasks(loop.get_executor());
  tasks.spawn(answer_call(acceptor, *this, done));
  auto ask = [&]() -> asio::awaitable<void> {
    HttpCall call(loop.get_executor(), resolver, tls, limits);  // Its timers end with it.
    try {
      const std::string port = std::to_string(acceptor.local_endpoint().port());
      const auto url = parse_http_url("http://model.example:" + port + "/v1");
      HttpCall::Headers headers = {{"A", "b"}};
      co_await call.post(*url, "/chat", headers, "body");
      seen = std::to_string(call.status()) + call.header("x-kind") + ":";
      if (is_aborted) call.abort();
      for (std::string piece = co_await call.read(); !piece.empty(); piece = co_await call.read()) {
        seen += piece;
      }
    } catch (const Error& error) {
      seen += " " + error.reason() + ": " + error.what();
    }
    done.set();
  };
  asio::co_spawn(loop, ask(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
}

std::string seen_of(Scene scene) {
  scene.play();
  return scene.seen;
}

}  // namespace

TEST_CASE("a call sends one request and gives the answer, however its end is said") {
  Scene scene{.pieces = {kChunkedAnswer}, .stays = true};
  scene.play();
  CHECK(scene.seen == "200A:abcde");
  CHECK(scene.asked.starts_with("POST /v1/chat HTTP/1.1\r\nHost: model.example:"));
  CHECK(scene.asked.find("\r\nA: b\r\n") != std::string::npos);
  CHECK(scene.asked.find("\r\nContent-Length: 4\r\n\r\nbody") != std::string::npos);
  CHECK(seen_of({.pieces = {"HTTP/1.1 429 No\r\nContent-", "Length: 5\r\n\r\nab", "cde"},
                 .stays = true}) == "429:abcde");
  CHECK(seen_of({.pieces = {"HTTP/1.0 200 OK\r\n\r\nabc", "de"}}) == "200:abcde");
}

TEST_CASE("what breaks or is no answer fails and says so") {
  const auto reason_of = [](Scene scene) {
    scene.play();
    return scene.seen;
  };
  CHECK(reason_of({.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"}})
            .find("200:ab http_failed") == 0);
  CHECK(reason_of({.pieces = {}}).find("without an answer") != std::string::npos);
  CHECK(reason_of({.pieces = {"SSH-2.0\r\n\r\n"}}).find("no HTTP/1.1") != std::string::npos);
  CHECK(reason_of({.pieces = {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"}})
            .find("broken chunks") != std::string::npos);
  CHECK(reason_of({.pieces = {"HTTP/1.1 200 OK\r\n\r\n" + std::string(200, 'x')},
                   .limits = {.answer_bytes = 100}})
            .find("http_answer_too_large") != std::string::npos);
  CHECK(reason_of({.pieces = {"HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'x')}, .stays = true})
            .find("no HTTP/1.1") != std::string::npos);
}

TEST_CASE("a call ends at its limits of time, and when it is given up") {
  const std::chrono::milliseconds soon(20);
  CHECK(seen_of({.pieces = {}, .stays = true, .limits = {.first_byte = soon}})
            .find(" http_timeout") == 0);
  const std::string begun = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";
  CHECK(seen_of({.pieces = {begun}, .stays = true, .limits = {.total = soon}})
            .find("no end of the answer within 20 ms") != std::string::npos);
  CHECK(seen_of({.pieces = {begun}, .stays = true, .is_aborted = true}).find("given up") !=
        std::string::npos);
}

}  // namespace cellar::net
