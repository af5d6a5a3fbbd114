#include "net/egress.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include "base/error.h"
#include "net/client_hello_fixture.h"
#include "net/egress_fixture.h"

namespace cellar::net {
namespace {

using Lines = std::vector<std::string>;
using std::string_literals::operator""s;

// The address that the first name asked for gets.
constexpr const char* kFirst = "198.18.1.0";
constexpr const char* kPublic = "203.0.113.7";

std::string get(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }

std::string dns_query(const std::string& name, char type = 1) {
  std::string out = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    out += prefixed(1, name.substr(at, dot - at));
    at = dot + 1;
  }
  return out + "\x00\x00"s + type + "\x00\x01"s;
}

// The code of a DNS answer, and the address behind it where there is one.
std::string outcome(const std::string& answer) {
  const std::string code = std::to_string(answer.at(3) & 0x0F);
  if (answer.at(7) == 0) return code;
  asio::ip::address_v4::bytes_type bytes;
  std::copy(answer.end() - 4, answer.end(), bytes.begin());
  return code + " " + asio::ip::address_v4(bytes).to_string();
}

}  // namespace

TEST_CASE("a listed name resolves to an address of its own; that leads to the real host") {
  World world({"example.com"});
  world.resolver.table["example.com"] = {ip(kPublic)};
  auto test = [&]() -> asio::awaitable<void> {
    CHECK(outcome(co_await world.ask(dns_query("Example.com"))) == "0 198.18.1.0");
    CHECK(outcome(co_await world.ask(dns_query("example.com", 28))) == "0");
    CHECK(co_await world.talk(kFirst, 80, get("example.com") + "more") ==
          "<" + get("example.com") + "more>");
    CHECK(co_await world.talk(kFirst, 443, client_hello("example.com")) ==
          "<" + client_hello("example.com") + ">");
  };
  world.run(test());
  CHECK(world.resolver.asked == Lines{"example.com", "example.com"});
  CHECK(world.dialed == Lines{"203.0.113.7:80", "203.0.113.7:443"});
  CHECK(world.refusals.empty());
  const Usage& counters = world.meter.usage();
  const std::size_t sent = get("example.com").size() + 4 + client_hello("example.com").size();
  CHECK(counters.connections == 2);
  CHECK(counters.questions == 2);
  CHECK(counters.bytes_up == sent);
  CHECK(counters.bytes_down == sent + 4);
  CHECK(world.egress->open_count() == 0);
}

TEST_CASE("other names are refused, told once, and never asked of the host's resolver") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    CHECK(outcome(co_await world.ask(dns_query("evil.test"))) == "3");
    CHECK(outcome(co_await world.ask(dns_query("EVIL.test", 28))) == "3");
    CHECK(outcome(co_await world.ask(dns_query("1.0.0.10.in-addr.arpa", 12))) == "3");
  };
  world.run(test());
  CHECK(world.refusals == Lines{"evil.test:53 not_listed"});
  CHECK(world.resolver.asked.empty());
  CHECK(world.meter.usage().refusals == 2);
}

TEST_CASE("names are resolved over TCP as well, several in one connection") {
  World world({"*.example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    const std::string bytes =
        frame_dns(dns_query("a.example.com")) + frame_dns(dns_query("b.example.com"));
    const std::string answers = co_await world.talk("10.0.0.1", 53, bytes);
    const auto first = unframe_dns(answers);
    REQUIRE(first.has_value());
    CHECK(outcome(std::string(*first)) == "0 198.18.1.0");
    const auto second = unframe_dns(std::string_view(answers).substr(2 + first->size()));
    REQUIRE(second.has_value());
    CHECK(outcome(std::string(*second)) == "0 198.18.1.1");
    CHECK(co_await world.talk("10.0.0.1", 53, frame_dns("no query")) == "");
  };
  world.run(test());
}

TEST_CASE("TLS for another name than the one that was resolved gets an alert") {
  World world({"example.com", "other.com"});
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    const std::string alert(refusal_alert());
    CHECK(co_await world.talk(kFirst, 443, client_hello("evil.test")) == alert);
    CHECK(co_await world.talk(kFirst, 443, client_hello("other.com")) == alert);
    CHECK(co_await world.talk(kFirst, 443, tls_record(hello_message(""))) == alert);
    CHECK(co_await world.talk(kFirst, 443, get("example.com")) == alert);
  };
  world.run(test());
  CHECK(world.refusals == Lines{"evil.test:443 name_mismatch", "other.com:443 name_mismatch",
                                "example.com:443 no_name", "example.com:443 malformed"});
  CHECK(world.meter.usage().refusals == 4);
  CHECK(world.dialed.empty());
}

TEST_CASE("HTTP for another host than the one that was resolved gets a 403") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    const std::string answer = co_await world.talk(kFirst, 80, get("evil.test"));
    CHECK(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    CHECK(answer.find("may not reach evil.test: ") != std::string::npos);
    const std::string http2 = co_await world.talk(kFirst, 80, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    CHECK(http2.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  };
  world.run(test());
  CHECK(world.refusals == Lines{"evil.test:80 name_mismatch", "example.com:80 malformed"});
  CHECK(world.dialed.empty());
}

TEST_CASE("a denied name is denied on the way to an address that is allowed, too") {
  World world(PolicyText{.allow = {"*"}, .deny = {"*.evil.test", "evil.test:80"}});
  auto test = [&]() -> asio::awaitable<void> {
    const std::string alert(refusal_alert());
    CHECK(co_await world.talk(kPublic, 443, client_hello("x.evil.test")) == alert);
    const std::string answer = co_await world.talk(kPublic, 80, get("evil.test"));
    CHECK(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    const std::string connect = "CONNECT 203.0.113.7:443 HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n";
    const std::string behind =
        co_await world.talk("1.1.1.1", kProxyPort, connect + client_hello("x.evil.test"));
    CHECK(behind.ends_with(alert));
    for (const std::string& hello : {client_hello("evil.test"), client_hello("good.test"),
                                     tls_record(hello_message("")), "no TLS"s}) {
      CHECK(co_await world.talk(kPublic, 443, hello) == "<" + hello + ">");
    }
  };
  world.run(test());
  CHECK(world.refusals ==
        Lines{"x.evil.test:443 denied by *.evil.test", "evil.test:80 denied by evil.test:80"});
}

TEST_CASE("an address that is not listed is refused, whatever name is sent to it") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    const std::string answer = co_await world.talk(kPublic, 80, get("example.com"));
    CHECK(answer.find("add \"203.0.113.7\" to the cell's \"allow\" list") != std::string::npos);
    CHECK(co_await world.talk(kPublic, 443, client_hello("example.com")) ==
          std::string(refusal_alert()));
    CHECK(co_await world.talk("169.254.169.254", 22, "") == "(reset)");
    CHECK(co_await world.talk("::ffff:127.0.0.1", 8080, "") == "(reset)");
  };
  world.run(test());
  CHECK(world.refusals == Lines{"203.0.113.7:80 not_listed", "203.0.113.7:443 not_listed",
                                "169.254.169.254:22 not_listed", "127.0.0.1:8080 not_listed"});
  CHECK(world.dialed.empty());
}

TEST_CASE("a listed address is reached as it is, private or not, and may speak any protocol") {
  World world({"127.0.0.1:8080", kPublic});
  auto test = [&]() -> asio::awaitable<void> {
    CHECK(co_await world.talk("127.0.0.1", 8080, "hello") == "<hello>");
    CHECK(co_await world.talk(kPublic, 443, "no TLS") == "<no TLS>");
  };
  world.run(test());
  CHECK(world.dialed == Lines{"127.0.0.1:8080", "203.0.113.7:443"});
  CHECK(world.resolver.asked.empty());
}

TEST_CASE("a name that leads into a private network is refused, unless that address is listed") {
  World world({"inside.test", "mixed.test", "listed.test", "10.0.0.9:80"});
  world.resolver.table["inside.test"] = {ip("10.0.0.1"), ip("::1"), ip("169.254.169.254")};
  world.resolver.table["mixed.test"] = {ip("10.0.0.1"), ip(kPublic)};
  world.resolver.table["listed.test"] = {ip("10.0.0.9")};
  auto test = [&]() -> asio::awaitable<void> {
    for (const char* name : {"inside.test", "mixed.test", "listed.test"}) {
      co_await world.ask(dns_query(name));
    }
    const std::string answer = co_await world.talk("198.18.1.0", 80, get("inside.test"));
    CHECK(answer.find("private network") != std::string::npos);
    CHECK(co_await world.talk("198.18.1.1", 80, get("mixed.test")) ==
          "<" + get("mixed.test") + ">");
    CHECK(co_await world.talk("198.18.1.2", 80, get("listed.test")) ==
          "<" + get("listed.test") + ">");
    CHECK(co_await world.talk("198.18.1.2", 443, client_hello("listed.test")) ==
          std::string(refusal_alert()));
  };
  world.run(test());
  CHECK(world.refusals ==
        Lines{"inside.test:80 private_address", "listed.test:443 private_address"});
  CHECK(world.dialed == Lines{"203.0.113.7:80", "10.0.0.9:80"});
}

TEST_CASE("on other ports the name must be listed with the port, and the server may speak first") {
  World world({"git.test:22"});
  world.resolver.table["git.test"] = {ip(kPublic)};
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("git.test"));
    auto socket = co_await world.connect(kFirst, 22);
    std::string greeting(1, '\0');
    co_await asio::async_read(socket, asio::buffer(greeting), asio::use_awaitable);
    CHECK(greeting == "<");
    CHECK(co_await world.talk(kFirst, 23, "hello") == "(reset)");
    CHECK(co_await world.talk(kFirst, 443, client_hello("git.test")) ==
          std::string(refusal_alert()));
  };
  world.run(test());
  CHECK(world.refusals == Lines{"git.test:23 not_listed", "git.test:443 not_listed"});
}

TEST_CASE("a synthetic address that stands for no name is told apart") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    const std::string answer = co_await world.talk("198.18.7.7", 80, get("example.com"));
    CHECK(answer.find("resolve it again") != std::string::npos);
  };
  world.run(test());
  CHECK(world.refusals == Lines{"198.18.7.7:80 unknown_address"});
}

TEST_CASE("a new policy holds for the next question and the next connection") {
  World world({"old.test"});
  world.resolver.table["new.test"] = {ip(kPublic)};
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("old.test"));
    CHECK(outcome(co_await world.ask(dns_query("new.test"))) == "3");
    world.egress->set_policy(Policy::parse({.allow = {"new.test"}}));
    CHECK(outcome(co_await world.ask(dns_query("new.test"))) == "0 198.18.1.1");
    CHECK(co_await world.talk("198.18.1.1", 80, get("new.test")) == "<" + get("new.test") + ">");
    const std::string answer = co_await world.talk(kFirst, 80, get("old.test"));
    CHECK(answer.starts_with("HTTP/1.1 403"));
  };
  world.run(test());
}

TEST_CASE("an upstream that cannot be reached is no refusal") {
  World world({"example.com", "nowhere.test", "10.0.0.1:22"});
  world.resolver.table["example.com"] = {ip(kPublic), ip("203.0.113.8")};
  world.is_upstream_up = false;
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    co_await world.ask(dns_query("nowhere.test"));
    const std::string answer = co_await world.talk(kFirst, 80, get("example.com"));
    CHECK(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    CHECK(co_await world.talk("198.18.1.1", 443, client_hello("nowhere.test")) == "(reset)");
    CHECK(co_await world.talk("10.0.0.1", 22, "") == "(reset)");
  };
  world.run(test());
  CHECK(world.dialed == Lines{"203.0.113.7:80", "203.0.113.8:80", "10.0.0.1:22"});
  CHECK(world.refusals.empty());
  CHECK(world.meter.usage().failures == 3);
}

TEST_CASE("connections above the limit are reset; one that ends makes room") {
  World world({"127.0.0.1:22"});
  world.meter.set_limits({.connections = 1});
  auto test = [&]() -> asio::awaitable<void> {
    auto first = co_await world.connect("127.0.0.1", 22);
    std::string greeting(1, '\0');
    co_await asio::async_read(first, asio::buffer(greeting), asio::use_awaitable);
    CHECK(world.egress->open_count() == 1);
    CHECK(co_await world.talk("127.0.0.1", 22, "") == "(reset)");
    first.shutdown(Tcp::socket::shutdown_send);
    CHECK(co_await World::read_all(first) == ">");
    // The last of the first connection ends in the same turn of the loop as its client reads.
    std::string answer;
    for (int tries = 0; tries < 1000 && answer != "<again>"; ++tries) {
      answer = co_await world.talk("127.0.0.1", 22, "again");
    }
    CHECK(answer == "<again>");
  };
  world.run(test());
  CHECK(world.refusals == Lines{"*:22 too_many_connections"});
}

TEST_CASE("a cell that has moved all its bytes is cut off, until it may move more") {
  World world({"127.0.0.1:22"});
  world.meter.set_limits({.bytes = 100});
  auto test = [&]() -> asio::awaitable<void> {
    CHECK((co_await world.talk("127.0.0.1", 22, std::string(200, 'x'))).ends_with("(reset)"));
    CHECK(co_await world.talk("127.0.0.1", 22, "more") == "(reset)");
    world.meter.set_limits({.bytes = 1000});
    CHECK(co_await world.talk("127.0.0.1", 22, "more") == "<more>");
  };
  world.run(test());
  CHECK(world.refusals == Lines{"*:22 byte_limit"});
}

TEST_CASE("a rate holds for all connections together, in small pieces") {
  World world({"127.0.0.1:22"});
  world.meter.set_limits({.bytes_per_s = 1'000'000});
  const auto start = std::chrono::steady_clock::now();
  auto test = [&]() -> asio::awaitable<void> {
    const std::string bytes(200'000, 'x');
    CHECK((co_await world.talk("127.0.0.1", 22, bytes)).size() == bytes.size() + 2);
  };
  world.run(test());
  // 400,002 bytes, of which a quarter of a second's go at once.
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(100));
}

TEST_CASE("a connection that waits has no buffer") {
  World world({"127.0.0.1:22"});
  auto test = [&]() -> asio::awaitable<void> {
    constexpr std::size_t kWaitingCount = 40;
    const std::size_t before = ::mallinfo2().uordblks;
    std::vector<Tcp::socket> waiting;
    for (std::size_t i = 0; i < kWaitingCount; ++i) {
      waiting.push_back(co_await world.connect("127.0.0.1", 22));
      co_await asio::async_write(waiting.back(), asio::buffer("x", 1), asio::use_awaitable);
      co_await world.received(i + 1);
    }
    // The upstream's own side has 64 KiB for each.
    CHECK(::mallinfo2().uordblks - before < kWaitingCount * (96 << 10));
  };
  world.run(test());
}

TEST_CASE("a denied name does not resolve, and a denied address behind a name is not dialed") {
  World world(PolicyText{.allow = {"*"}, .deny = {"*.evil.test", "203.0.113.0/24"}});
  world.resolver.table["a.test"] = {ip(kPublic)};
  auto test = [&]() -> asio::awaitable<void> {
    CHECK(outcome(co_await world.ask(dns_query("x.evil.test"))) == "3");
    CHECK(outcome(co_await world.ask(dns_query("a.test"))) == "0 198.18.1.0");
    const std::string answer = co_await world.talk(kFirst, 80, get("a.test"));
    CHECK(answer.find("take \"203.0.113.0/24\" off") != std::string::npos);
  };
  world.run(test());
  CHECK(world.refusals ==
        Lines{"x.evil.test:53 denied by *.evil.test", "a.test:80 denied by 203.0.113.0/24"});
  CHECK(world.dialed.empty());
  CHECK(world.resolver.asked == Lines{"a.test"});
}

TEST_CASE("a name that changes its address is judged by the one that is dialed") {
  World world({"*"});
  world.resolver.table["rebind.test"] = {ip(kPublic)};
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("rebind.test"));
    CHECK(co_await world.talk(kFirst, 80, get("rebind.test")) == "<" + get("rebind.test") + ">");
    for (const char* inner : {"127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"}) {
      CAPTURE(inner);
      world.resolver.table["rebind.test"] = {ip(inner)};
      const std::string answer = co_await world.talk(kFirst, 80, get("rebind.test"));
      CHECK(answer.find("private network") != std::string::npos);
    }
  };
  world.run(test());
  CHECK(world.dialed == Lines{"203.0.113.7:80"});
}

TEST_CASE("services of a name that is allowed are looked for in vain, and nobody is told") {
  World world({"deb.test"});
  auto test = [&]() -> asio::awaitable<void> {
    CHECK(outcome(co_await world.ask(dns_query("_http._tcp.deb.test", 33))) == "3");
    CHECK(outcome(co_await world.ask(dns_query("_http._tcp.evil.test", 33))) == "3");
  };
  world.run(test());
  CHECK(world.refusals == Lines{"_http._tcp.evil.test:53 not_listed"});
}

TEST_CASE("a client that says nothing, or nothing whole, is not waited for") {
  EgressOptions options;
  options.head_limit = std::chrono::milliseconds(1);
  World world({"example.com"}, options);
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    auto socket = co_await world.connect(kFirst, 443);
    CHECK(co_await World::read_all(socket) == "");
  };
  world.run(test());
  CHECK(world.egress->open_count() == 0);
  CHECK(world.refusals.empty());
}

TEST_CASE("a head in too many pieces is malformed") {
  World world({"example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    auto socket = co_await world.connect(kFirst, 80);
    socket.set_option(Tcp::no_delay(true));
    const std::string bytes = get(std::string(300, 'a'));
    for (std::size_t i = 0; i < bytes.size() && world.refusals.empty(); ++i) {
      co_await asio::async_write(socket, asio::buffer(bytes.data() + i, 1), asio::use_awaitable);
      co_await asio::post(world.executor(), asio::use_awaitable);
    }
    const std::string answer = co_await World::read_all(socket);
    CHECK(answer.starts_with("HTTP/1.1 403"));
  };
  world.run(test());
  CHECK(world.refusals == Lines{"example.com:80 malformed"});
}

TEST_CASE("a connection on which nothing moves is reset") {
  EgressOptions options;
  options.idle_limit = std::chrono::milliseconds(1);
  World world({"127.0.0.1:22"}, options);
  auto test = [&]() -> asio::awaitable<void> {
    auto socket = co_await world.connect("127.0.0.1", 22);
    const std::string answer = co_await World::read_all(socket);
    CHECK(answer.ends_with("(reset)"));
  };
  world.run(test());
  CHECK(world.egress->open_count() == 0);
}

TEST_CASE("megabytes go through both ways unchanged, copied at first and then not") {
  World world({"127.0.0.1:22"});
  std::string bytes(5 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  auto test = [&]() -> asio::awaitable<void> {
    const bool same = co_await world.talk("127.0.0.1", 22, bytes) == "<" + bytes + ">";
    CHECK(same);
  };
  world.run(test());
  CHECK(world.meter.usage().bytes_up == bytes.size());
}

TEST_CASE("a client that reads late loses nothing of what waits for it") {
  World world({"127.0.0.1:22"});
  std::string bytes(16 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  auto test = [&]() -> asio::awaitable<void> {
    Tcp::socket socket = co_await world.connect("127.0.0.1", 22);
    co_await asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable);
    socket.shutdown(Tcp::socket::shutdown_send);
    // Until all that has room on the way is there, and the rest cannot move.
    const Usage& usage = world.meter.usage();
    std::uint64_t before = 0;
    for (int still = 0; still < 1000; ++still) {
      if (usage.bytes_down != before || usage.bytes_down < 2) still = 0;
      before = usage.bytes_down;
      co_await asio::post(world.executor(), asio::use_awaitable);
    }
    CHECK(usage.bytes_down < bytes.size());
    const bool same = co_await World::read_all(socket) == "<" + bytes + ">";
    CHECK(same);
  };
  world.run(test());
}

TEST_CASE("close ends the connections that are open") {
  World world({"127.0.0.1:22", "example.com"});
  auto test = [&]() -> asio::awaitable<void> {
    co_await world.ask(dns_query("example.com"));
    auto joined = co_await world.connect("127.0.0.1", 22);
    std::string greeting(1, '\0');
    co_await asio::async_read(joined, asio::buffer(greeting), asio::use_awaitable);
    auto silent = co_await world.connect(kFirst, 443);
    co_await world.egress->close();
    CHECK(world.egress->open_count() == 0);
    CHECK(co_await World::read_all(joined) == "(reset)");
    bool refused = false;
    try {
      co_await world.connect(kFirst, 443);
    } catch (const boost::system::system_error& error) {
      refused = error.code() == asio::error::connection_refused;
    }
    CHECK(refused);
  };
  world.run(test());
}

TEST_CASE("a lookup that goes on behind its answer keeps its turn") {
  World world({"127.0.0.1:22", "example.com"});
  world.resolver.goes_on = true;
  auto test = [&]() -> asio::awaitable<void> {
    const std::string get = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    co_await world.ask(dns_query("example.com"));
    const std::string late = co_await world.talk(kFirst, 80, get);
    CHECK(late.starts_with("HTTP/1.1 502"));
    auto waiting = co_await world.connect(kFirst, 80);
    co_await asio::async_write(waiting, asio::buffer(get), asio::use_awaitable);
    while (world.meter.usage().connections < 2) {
      co_await asio::post(world.executor(), asio::use_awaitable);
    }
    CHECK(co_await world.talk("127.0.0.1", 22, "by now") == "<by now>");
    CHECK(world.resolver.asked.size() == 1);
    world.resolver.at_work.clear();
    const std::string next = co_await World::read_all(waiting);
    CHECK(next.starts_with("HTTP/1.1 502"));
    CHECK(world.resolver.asked.size() == 2);
  };
  world.run(test());
}

TEST_CASE("a listener that is none is refused") {
  asio::io_context loop;
  FakeResolver resolver;
  Meter meter;
  bool failed = false;
  auto test = [&]() -> asio::awaitable<void> {
    Egress egress(loop.get_executor(), "c1", Policy(), {}, resolver, meter, {});
    try {
      egress.listen({sys::Fd()});
    } catch (const Error& error) {
      failed = error.code() == ErrorCode::internal;
    }
    co_await egress.close();
  };
  asio::co_spawn(loop, test(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  CHECK(failed);
}

}  // namespace cellar::net
