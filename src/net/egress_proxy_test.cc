#include <doctest/doctest.h>

#include "net/client_hello_fixture.h"
#include "net/egress_fixture.h"

namespace cellar::net {
namespace {

using Notes = std::vector<std::string>;

std::string connect_to(const std::string& target) {
  return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n";
}
constexpr const char* kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

}  // namespace

TEST_CASE("a proxy's CONNECT leads where the policy allows it, and the name is checked behind it") {
  World world({"example.com", "git.test:22"});
  world.resolver.table["example.com"] = {ip("203.0.113.7")};
  world.resolver.table["git.test"] = {ip("203.0.113.8")};
  auto test = [&]() -> asio::awaitable<void> {
    const std::string other = client_hello("evil.test");
    CHECK(co_await world.talk("1.1.1.1", kProxyPort, connect_to("example.com:443") + other) ==
          kEstablished + std::string(refusal_alert()));
    const std::string hello = client_hello("example.com");
    CHECK(co_await world.talk("1.1.1.1", kProxyPort, connect_to("Example.com:443") + hello) ==
          kEstablished + ("<" + hello + ">"));
    CHECK(co_await world.talk("1.1.1.1", kProxyPort, connect_to("git.test:22") + "SSH") ==
          std::string(kEstablished) + "<SSH>");
    CHECK(world.upstream_bytes == hello + "SSH");
  };
  world.run(test());
  CHECK(world.refusals == Notes{"evil.test:443 name_mismatch"});
  CHECK(world.dialed == Notes{"203.0.113.7:443", "203.0.113.7:443", "203.0.113.8:22"});
}

TEST_CASE("what a proxy may not reach is a 403 that says what to add, and nobody is dialed") {
  World world(PolicyText{.allow = {"*:443", "*:80", "*.example.com:8443", "inside.test"},
                         .deny = {"evil.test"}});
  world.resolver.table["inside.test"] = {ip("10.0.0.1")};
  auto test = [&]() -> asio::awaitable<void> {
    for (const char* target :
         {"127.0.0.1:443", "[::1]:443", "[::ffff:127.0.0.1]:80", "169.254.169.254:80",
          "evil.test:443", "inside.test:443", "other.test:8443", "198.18.9.9:443"}) {
      CAPTURE(target);
      const std::string answer = co_await world.talk("1.1.1.1", kProxyPort, connect_to(target));
      CHECK(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    }
    const std::string answer =
        co_await world.talk("1.1.1.1", kProxyPort, "GET http://10.0.0.1/ HTTP/1.1\r\n\r\n");
    CHECK(answer.find("private network") != std::string::npos);
  };
  world.run(test());
  CHECK(world.refusals == Notes{"127.0.0.1:443 private_address", "::1:443 private_address",
                                "127.0.0.1:80 private_address",
                                "169.254.169.254:80 private_address",
                                "evil.test:443 denied by evil.test",
                                "inside.test:443 private_address", "other.test:8443 not_listed",
                                "198.18.9.9:443 unknown_address", "10.0.0.1:80 private_address"});
  CHECK(world.dialed.empty());
}

TEST_CASE("a proxied request is one request: what is smuggled behind it goes nowhere") {
  World world({"example.com"});
  world.resolver.table["example.com"] = {ip("203.0.113.7")};
  const std::string sent = "POST / HTTP/1.1\r\nHost: example.com\r\n";
  auto test = [&]() -> asio::awaitable<void> {
    const std::string start = "POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\n";
    const std::string smuggled = "GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    for (const std::string& body :
         {std::string("Content-Length: 2\r\n|hi"),
          std::string("Transfer-Encoding: chunked\r\n|2\r\nhi\r\n0\r\n\r\n"), std::string("|")}) {
      CAPTURE(body);
      const std::size_t bar = body.find('|');
      const std::string headers = body.substr(0, bar) + "\r\n" + body.substr(bar + 1);
      auto socket = co_await world.connect("1.1.1.1", kProxyPort);
      co_await asio::async_write(socket, asio::buffer(start + headers + smuggled),
                                 asio::use_awaitable);
      // The upstream answers once it has read all that it gets, and gets no end of the stream.
      const std::string expected =
          sent + body.substr(0, bar) + "Connection: close\r\n\r\n" + body.substr(bar + 1);
      co_await world.received(expected.size());
      CHECK(world.upstream_bytes == expected);
      world.upstream_bytes.clear();
    }
  };
  world.run(test());
}

TEST_CASE("what is no request for a proxy is a 400 that says why") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    const std::string origin = co_await world.talk("1.1.1.1", kProxyPort, "GET / HTTP/1.1\r\n\r\n");
    CHECK(origin.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(origin.find("This is a proxy") != std::string::npos);
    const std::string tls = co_await world.talk("1.1.1.1", kProxyPort, client_hello("example.com"));
    CHECK(tls.find("no HTTP/1 request") != std::string::npos);
    world.is_upstream_up = false;
    world.resolver.table["example.com"] = {ip("203.0.113.7")};
    const std::string down =
        co_await world.talk("1.1.1.1", kProxyPort, connect_to("example.com:443"));
    CHECK(down.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  };
  world.run(test());
  CHECK(world.meter.usage().failures == 1);
}

}  // namespace cellar::net
