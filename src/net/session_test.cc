#include "net/session.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <functional>

#include "async/sleep.h"
#include "async/task_group.h"

namespace cellar::net {
namespace {

constexpr std::chrono::seconds kQuietMax{10};
constexpr std::chrono::milliseconds kLookPause{1};
constexpr const char* kSessionKey = "cellar-secret-0123456789abcdef0123456789abcdef";

// Gives `pieces`, one for each read, and then the end, or an error; keeps what is written.
struct Script {
  std::deque<std::string> pieces;
  bool breaks_off = false;
  std::function<bool()> is_quiet;  // there: nothing comes as long as it says so
  std::string written;
  bool was_reset = false;
};

class ScriptedChannel : public Channel {
 public:
  explicit ScriptedChannel(Script& script) : script_(script) {}

  asio::awaitable<std::size_t> read(std::span<char> into) override {
    co_await asio::post(asio::use_awaitable);  // Others have their turn.
    auto comes = [this] { return !script_.is_quiet || !script_.is_quiet(); };
    co_await async::poll_until("a piece", comes, kQuietMax, kLookPause);
    if (script_.pieces.empty() && !script_.breaks_off) co_return 0;
    if (script_.pieces.empty()) throw boost::system::system_error(asio::error::connection_reset);
    const std::size_t size = script_.pieces.front().copy(into.data(), into.size());
    script_.pieces.pop_front();
    co_return size;
  }
  asio::awaitable<void> write(std::string_view bytes) override {
    script_.written += bytes;
    co_return;
  }
  asio::awaitable<void> end() override { co_return; }
  void reset() noexcept override { script_.was_reset = true; }
  bool is_quiet() override { return true; }

 private:
  Script& script_;
};

// One session of a client that sends `client`, and a server that answers with `server`.
struct Scene {
  Script client;
  Script server;
  std::vector<RuleText> rules;
  std::vector<std::string> opened;
  std::vector<std::string> told;
  bool was_cut = false;
  int requests_max = 100;
  std::chrono::milliseconds held_limit = std::chrono::hours(1);
  int allowed_count = 100;  // requests that the policy lets out before it changes

  void play() {
    asio::io_context loop;
    async::TaskGroup tasks(loop.get_executor());
    Meter meter;
    const auto shared_rules = std::make_shared<const Rules>(Rules::parse(rules));
    const auto injection = std::make_shared<const Injection>(std::vector<BoundSecret>{
        {"KEY", kSessionKey, "sk-live-1", {HostPattern::parse("api.test").value()}, "", true}});
    SessionHooks hooks{.injection = [&] { return injection; },
                       .rules = [&] { return shared_rules; },
                       .open = [this](Destination to, Leave) { return open(std::move(to)); },
                       .refusal = [this](const Destination& to) -> std::optional<Refusal> {
                         if (allowed_count-- > 0) return std::nullopt;
                         return Refusal{to.name, to.port, Why::denied};
                       },
                       .tell = [this](const Refusal& it) { told.emplace_back(to_string(it.why)); },
                       .spawn = [&](asio::awaitable<void> task) { tasks.spawn(std::move(task)); },
                       .meter = meter,
                       .idle_limit = std::chrono::seconds(10),
                       .requests_max = requests_max,
                       .held_limit = held_limit};
    auto done = [&](const std::exception_ptr& error) { was_cut = error != nullptr; };
    asio::co_spawn(loop,
                   serve_requests(std::make_unique<ScriptedChannel>(client),
                                  {"api.test", 443, true}, std::move(hooks)),
                   done);
    loop.run();
  }

  asio::awaitable<Opened> open(Destination to) {
    opened.push_back(to.name);
    co_return std::make_unique<ScriptedChannel>(server);
  }
};

std::string get_request(const std::string& more = "") {
  return "GET /a HTTP/1.1\r\nHost: api.test\r\n" + more + "\r\n";
}

std::string ok_answer(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("requests of one connection go over one connection, each with its values") {
  Scene scene;
  const std::string request = get_request("A: " + std::string(kSessionKey) + "\r\n");
  scene.client.pieces = {request, request.substr(0, 20), request.substr(20)};
  scene.server.pieces = {ok_answer("one"), ok_answer("two")};
  scene.play();
  CHECK(scene.client.written == ok_answer("one") + ok_answer("two"));
  CHECK(scene.opened == std::vector<std::string>{"api.test"});
  const std::string sent = get_request("A: sk-live-1\r\nAccept-Encoding: identity\r\n");
  CHECK(scene.server.written == sent + sent);
  CHECK_FALSE(scene.was_cut);
}

TEST_CASE("what the policy denies meanwhile goes out on no connection that is kept") {
  Scene scene;
  scene.client.pieces = {get_request(), get_request()};
  scene.server.pieces = {ok_answer("one"), ok_answer("two")};
  scene.allowed_count = 1;
  scene.play();
  CHECK(scene.client.written.starts_with(ok_answer("one") + "HTTP/1.1 403"));
  CHECK(scene.server.written.find("GET", 1) == std::string::npos);
  CHECK(scene.told == std::vector<std::string>{"denied"});
}

TEST_CASE("a body goes through unchanged, and what is behind it is another request") {
  Scene scene;
  const std::string head = "POST /a HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n";
  scene.client.pieces = {head + "\r\n3\r\nab",
                         "c\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n"};
  scene.server.pieces = {ok_answer("x")};
  scene.play();
  CHECK(scene.server.written == head + "Accept-Encoding: identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  CHECK(scene.client.written.starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("a body that breaks off, or is no plain one, is not made whole") {
  for (const bool breaks : {true, false}) {
    CAPTURE(breaks);
    Scene scene;
    scene.client.pieces = {"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\nabc"};
    scene.client.breaks_off = breaks;
    scene.play();
    CHECK(scene.server.written.ends_with("\r\n\r\nabc"));
    CHECK(scene.server.was_reset);
  }
  Scene scene;
  scene.client.pieces = {
      "POST /a HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n1\nabc"};
  scene.play();
  CHECK(scene.server.was_reset);
}

TEST_CASE("answers that two programs may read in two ways are not passed on") {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: "
        "chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\na", "HTTP/2 200\r\n\r\n", "hello",
        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n"}) {
    CAPTURE(answer);
    Scene scene;
    scene.client.pieces = {get_request()};
    scene.server.pieces = {answer};
    scene.play();
    CHECK(scene.client.written.starts_with("HTTP/1.1 502 Bad Gateway"));
  }
}

TEST_CASE("what an answer has behind its end reaches nobody") {
  Scene scene;
  scene.client.pieces = {get_request(), get_request()};
  scene.server.pieces = {ok_answer("one") + ok_answer("planted"), ok_answer("two")};
  scene.play();
  CHECK(scene.client.written == ok_answer("one") + ok_answer("two"));
  CHECK(scene.opened.size() == 2);
}

TEST_CASE("an answer without a length ends with its connection, and one that breaks off is cut") {
  Scene whole;
  whole.client.pieces = {get_request(), get_request()};
  whole.server.pieces = {"HTTP/1.1 200 OK\r\n\r\nab", "cd"};
  whole.play();
  CHECK(whole.client.written == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcd");
  CHECK_FALSE(whole.was_cut);
  Scene broken;
  broken.client.pieces = {get_request()};
  broken.server.pieces = {"HTTP/1.1 200 OK\r\n\r\nab"};
  broken.server.breaks_off = true;
  broken.play();
  CHECK(broken.was_cut);
  CHECK(broken.client.was_reset);
}

TEST_CASE("a value that comes back is cut off, in the head and in the body, however it is cut") {
  Scene head;
  head.client.pieces = {get_request()};
  head.server.pieces = {"HTTP/1.1 200 OK\r\nX: Bearer sk-live-1\r\nContent-Length: 0\r\n\r\n"};
  head.play();
  CHECK(head.client.written.starts_with("HTTP/1.1 403"));
  CHECK(head.client.written.find("sk-live-1") == std::string::npos);
  Scene body;
  body.client.pieces = {get_request()};
  body.server.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{sk-l", "ive", "-1}"};
  body.play();
  CHECK(body.client.written.ends_with("\r\n\r\n"));
  CHECK(body.was_cut);
  CHECK(body.told == std::vector<std::string>{"secret_echo"});
}

TEST_CASE("what a stream has sent is there soon, even where nothing comes behind it") {
  Scene scene;
  scene.held_limit = std::chrono::milliseconds(1);
  scene.client.pieces = {get_request()};
  scene.server.pieces = {"HTTP/1.1 200 OK\r\n\r\n", "data: sk-", "live", "-1\n"};
  scene.server.is_quiet = [&scene] {  // until the client has all that was sent before
    const std::string& has = scene.client.written;
    const std::size_t left = scene.server.pieces.size();
    return (left == 2 && !has.ends_with("data: sk-")) || (left == 1 && !has.ends_with("live"));
  };
  scene.play();
  CHECK(scene.client.written.ends_with("\r\n\r\ndata: sk-live"));
  CHECK(scene.was_cut);  // What is behind it would have made it whole.
  CHECK(scene.told == std::vector<std::string>{"secret_echo"});
}

TEST_CASE("after an upgrade that was asked for, bytes pass both ways") {
  Scene scene;
  scene.client.pieces = {get_request("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "up"};
  scene.server.pieces = {
      "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
      "down"};
  scene.play();
  CHECK(scene.client.written ==
        "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\n\r\ndown");
  CHECK(scene.server.written.ends_with("\r\n\r\nup"));
}

TEST_CASE("interim answers are passed on, but not without end") {
  Scene scene;
  scene.client.pieces = {get_request()};
  const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
  scene.server.pieces = {early + ok_answer("x")};
  scene.play();
  CHECK(scene.client.written == early + ok_answer("x"));
  Scene endless;
  endless.client.pieces = {get_request()};
  endless.server.pieces.assign(100, early);
  endless.play();
  CHECK(endless.client.written.find("502") != std::string::npos);
}

TEST_CASE("a head without end, and one request too many, are not waited for") {
  Scene endless;
  endless.client.pieces.assign(1000, "A: b\r\n");
  endless.client.pieces.push_front("GET / HTTP/1.1\r\n");
  endless.play();
  CHECK(endless.client.written.starts_with("HTTP/1.1 400"));
  CHECK(endless.client.pieces.size() > 700);
  Scene last;
  last.requests_max = 1;
  last.client.pieces = {get_request(), get_request()};
  last.server.pieces = {ok_answer("x"), ok_answer("y")};
  last.play();
  CHECK(last.client.written ==
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
}

TEST_CASE("a rule answers without a server, and the connection is kept") {
  Scene scene;
  scene.rules = {
      {.host = "api.test",
       .method = "GET",
       .response = RuleText::Response{.status = 403, .headers = {{"X", "y"}}, .body = "no"}}};
  scene.client.pieces = {get_request(), get_request()};
  scene.play();
  const std::string answer = "HTTP/1.1 403 By rule\r\nX: y\r\nContent-Length: 2\r\n\r\nno";
  CHECK(scene.client.written == answer + answer);
  CHECK(scene.opened.empty());
  CHECK(scene.told == std::vector<std::string>{"rule", "rule"});
}

}  // namespace cellar::net
