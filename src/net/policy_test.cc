#include "net/policy.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "net/presets.h"

namespace cellar::net {
namespace {

asio::ip::address ip(const char* text) { return asio::ip::make_address(text); }
Policy allowing(std::vector<std::string> entries) {
  return Policy::parse({.allow = std::move(entries)});
}

}  // namespace

TEST_CASE("nothing is allowed by default") {
  const Policy policy;
  CHECK_FALSE(policy.judge_name("example.com", 443).allows());
  CHECK_FALSE(policy.judge_question("example.com").allows());
  CHECK_FALSE(policy.judge_address(ip("203.0.113.7"), 443).allows());
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{80, 443});
}

TEST_CASE("a name is allowed on ports 80 and 443, or on the port that it is listed with") {
  const Policy policy = allowing({"example.com", "git.example.com:22"});
  CHECK(policy.judge_name("example.com", 443).allows());
  CHECK(policy.judge_name("example.com", 80).allows());
  CHECK_FALSE(policy.judge_name("example.com", 22).allows());
  CHECK(policy.judge_name("git.example.com", 22).allows());
  CHECK_FALSE(policy.judge_name("git.example.com", 443).allows());
  CHECK(policy.judge_question("git.example.com").allows());
  CHECK_FALSE(policy.judge_question("www.example.com").allows());
  CHECK_FALSE(policy.judge_question("notexample.com").allows());
}

TEST_CASE("a wildcard covers every name below, not the name itself") {
  const Policy policy = allowing({"*.example.com", "*.db.test:5432"});
  CHECK(policy.judge_name("a.example.com", 443).allows());
  CHECK(policy.judge_name("b.a.example.com", 80).allows());
  CHECK_FALSE(policy.judge_name("example.com", 443).allows());
  CHECK_FALSE(policy.judge_name("badexample.com", 443).allows());
  CHECK_FALSE(policy.judge_name("example.com.evil.test", 443).allows());
  CHECK(policy.judge_name("one.db.test", 5432).allows());
  CHECK_FALSE(policy.judge_name("one.db.test", 443).allows());
}

TEST_CASE("names are the same in any case and with a dot at the end") {
  const Policy policy = allowing({"Example.COM."});
  CHECK(policy.judge_name("eXample.com", 443).allows());
  CHECK(policy.judge_name("example.com.", 443).allows());
  CHECK_FALSE(policy.judge_name("example.com..", 443).allows());
}

TEST_CASE("only an address that is listed literally is allowed") {
  const Policy policy = allowing(
      {"203.0.113.7", "127.0.0.1:8080", "[2001:db8::7]:8443", "2001:db8::8", "[2001:db8::9]"});
  CHECK(policy.judge_address(ip("203.0.113.7"), 443).allows());
  CHECK(policy.judge_address(ip("::ffff:203.0.113.7"), 443).allows());
  CHECK_FALSE(policy.judge_address(ip("203.0.113.8"), 443).allows());
  CHECK_FALSE(policy.judge_address(ip("203.0.113.7"), 8080).allows());
  CHECK(policy.judge_address(ip("127.0.0.1"), 8080).allows());
  CHECK_FALSE(policy.judge_address(ip("127.0.0.1"), 80).allows());
  CHECK(policy.judge_address(ip("2001:db8::7"), 8443).allows());
  CHECK(policy.judge_address(ip("2001:db8::8"), 80).allows());
  CHECK(policy.judge_address(ip("2001:db8::9"), 443).allows());
  CHECK_FALSE(policy.judge_name("203.0.113.7", 443).allows());
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{80, 443, 8080, 8443});
}

TEST_CASE("an entry that cannot be meant is refused by its own text") {
  const std::string long_label(64, 'a');
  for (const std::string& entry : {std::string(""),
                                   std::string("*."),
                                   std::string("a b"),
                                   std::string("http://example.com"),
                                   std::string("example.com/path"),
                                   std::string(".com"),
                                   std::string("a..b"),
                                   std::string("-a.com"),
                                   std::string("a-.com"),
                                   std::string("a.*.com"),
                                   std::string("**.com"),
                                   std::string("example.com:"),
                                   std::string("example.com:0"),
                                   std::string("example.com:65536"),
                                   std::string("example.com:+80"),
                                   std::string("example.com:http"),
                                   std::string("example.com:53"),
                                   std::string("example.com:**"),
                                   std::string("example.com:8*"),
                                   std::string("1.2.3"),
                                   std::string("1.2.3.4.5"),
                                   std::string("256.1.1.1"),
                                   std::string("10.0.0.1/8"),
                                   std::string("10.0.0.0/33"),
                                   std::string("10.0.0.0/"),
                                   std::string("10.0.0.0/-1"),
                                   std::string("2001:db8::/129"),
                                   std::string("198.18.0.0/16"),
                                   std::string("example.com/8"),
                                   std::string("example.com:3128"),
                                   std::string("[::1"),
                                   std::string("[::1]80"),
                                   std::string("[1.2.3.4]:80"),
                                   std::string("[example.com]:80"),
                                   std::string("fe80::1%1"),
                                   std::string("0.0.0.0"),
                                   std::string("::"),
                                   std::string("198.18.0.1"),
                                   std::string("::ffff:198.19.0.1"),
                                   std::string("b\xC3\xBC"
                                               "cher.de"),
                                   long_label + ".com"}) {
    CAPTURE(entry);
    try {
      allowing({"example.com", entry});
      FAIL("was accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      CHECK(error.reason() == "invalid_allow");
      CHECK(std::string(error.what()).find("\"" + entry + "\"") != std::string::npos);
    }
  }
}

TEST_CASE("who lists a URL is told that a host is wanted") {
  CHECK_THROWS_WITH_AS(
      allowing({"https://pypi.org"}),
      "allow entry \"https://pypi.org\": this is a URL: name its host, as a policy "
      "knows no paths",
      Error);
}

TEST_CASE("an allow-list has 256 entries at most") {
  CHECK_NOTHROW(allowing(std::vector<std::string>(256, "example.com")));
  CHECK_THROWS_AS(allowing(std::vector<std::string>(257, "example.com")), Error);
  CHECK_THROWS_AS(Policy::parse({.deny = std::vector<std::string>(257, "example.com")}), Error);
}

TEST_CASE("an entry of deny is looked at first, and means every port where it names none") {
  const Policy policy = Policy::parse({.allow = {"*", "*.test:5432", "10.0.0.0/8"},
                                       .deny = {"*.evil.test", "git.test:22", "10.9.0.0/16"}});
  const Policy::Verdict denied = policy.judge_name("a.evil.test", 5432);
  CHECK(denied.says == Policy::Says::denied);
  CHECK(denied.rule == "*.evil.test");
  CHECK_FALSE(policy.judge_question("a.evil.test").allows());
  CHECK(policy.judge_name("evil.test", 443).allows());
  CHECK(policy.judge_name("git.test", 22).rule == "git.test:22");
  CHECK(policy.judge_name("git.test", 443).allows());
  CHECK(policy.judge_question("git.test").allows());
  CHECK(policy.judge_address(ip("10.1.2.3"), 443).allows());
  CHECK(policy.judge_address(ip("10.9.2.3"), 443).rule == "10.9.0.0/16");
  CHECK(policy.judge_upstream(ip("::ffff:10.9.2.3"), 443).rule == "10.9.0.0/16");
  CHECK_FALSE(Policy::parse({.allow = {"*"}, .deny = {"*"}}).judge_name("a.test", 443).allows());
}

TEST_CASE("everything is every name and every public address, and no private one") {
  const Policy policy = allowing({"*", "*:5432"});
  CHECK(policy.judge_name("example.com", 22).allows());
  CHECK(policy.judge_name("example.com", 65535).allows());
  CHECK(policy.judge_address(ip("203.0.113.7"), 8080).allows());
  CHECK(policy.judge_address(ip("203.0.113.7"), 443).allows());
  CHECK(policy.judge_address(ip("2001:db8::7"), 443).allows());
  for (const char* text : {"127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00::1",
                           "::ffff:127.0.0.1", "64:ff9b::7f00:1"}) {
    CAPTURE(text);
    CHECK(policy.judge_address(ip(text), 443).says == Policy::Says::private_address);
    CHECK(policy.judge_upstream(ip(text), 443).says == Policy::Says::private_address);
  }
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{22, 80, 443, 5432});
}

TEST_CASE("a port that is * is every port") {
  const Policy policy =
      Policy::parse({.allow = {"example.com:*", "*.db.test:*", "10.0.0.0/8:*", "[2001:db8::7]:*"},
                     .deny = {"example.com:25", "10.9.0.0/16:*", "*:4444"}});
  CHECK(policy.judge_name("example.com", 8080).allows());
  CHECK(policy.judge_name("example.com", 1).allows());
  CHECK(policy.judge_name("example.com", 25).rule == "example.com:25");
  CHECK(policy.judge_name("example.com", 4444).rule == "*:4444");
  CHECK(policy.judge_name("www.example.com", 8080).says == Policy::Says::not_listed);
  CHECK(policy.judge_name("a.db.test", 5433).allows());
  CHECK(policy.judge_address(ip("10.1.2.3"), 9999).allows());
  CHECK(policy.judge_upstream(ip("10.1.2.3"), 9999).allows());
  CHECK(policy.judge_address(ip("10.9.2.3"), 9999).rule == "10.9.0.0/16:*");
  CHECK(policy.judge_address(ip("2001:db8::7"), 9999).allows());
  CHECK(policy.judge_address(ip("192.168.0.1"), 9999).says == Policy::Says::not_listed);
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{22, 80, 443});
  CHECK(allowing({"*:*"}).judge_name("example.com", 8080).allows());
  CHECK_FALSE(allowing({"*:*"}).judge_address(ip("10.0.0.1"), 8080).allows());
}

TEST_CASE("of a loopback address the ports are named, and only they are not the cell's own") {
  const Policy policy = allowing({"127.0.0.1:8080", "127.3.0.0/16", "[::1]:9090", "*", "*:5432",
                                  "0.0.0.0/0:7070", "10.0.0.0/8:*", "example.com:6060"});
  CHECK(policy.loopback_ports() == std::vector<std::uint16_t>{80, 443, 8080, 9090});
  CHECK(allowing({"*", "[::/0]:22"}).loopback_ports().empty());
  for (const char* entry :
       {"127.0.0.1:*", "127.0.0.0/8:*", "[::1]:*", "[::ffff:127.0.0.1]:*", "[::/8]:*"}) {
    CAPTURE(entry);
    CHECK_THROWS_WITH_AS(allowing({entry}), doctest::Contains("name the port"), Error);
    CHECK_NOTHROW(Policy::parse({.deny = {entry}}));
  }
  CHECK_NOTHROW(allowing({"0.0.0.0/0:*", "[::/0]:*"}));
}

TEST_CASE("a network opens private addresses only where it is private as a whole") {
  const Policy wide = allowing({"0.0.0.0/0", "::/0", "168.0.0.0/8:8080", "2000::/3"});
  CHECK(wide.judge_address(ip("203.0.113.7"), 443).allows());
  CHECK(wide.judge_address(ip("2001:db8::7"), 443).allows());
  CHECK_FALSE(wide.judge_address(ip("127.0.0.1"), 443).allows());
  CHECK_FALSE(wide.judge_address(ip("169.254.169.254"), 80).allows());
  CHECK_FALSE(wide.judge_address(ip("168.63.129.16"), 8080).allows());
  CHECK_FALSE(wide.judge_address(ip("198.18.1.0"), 443).allows());
  CHECK_FALSE(wide.judge_address(ip("::1"), 443).allows());
  CHECK_FALSE(wide.judge_address(ip("2002:7f00:1::1"), 443).allows());
  const Policy narrow = allowing({"10.0.0.0/8", "[fd00::/8]:8443", "::ffff:172.16.0.0/108"});
  CHECK(narrow.judge_address(ip("10.255.0.1"), 80).allows());
  CHECK(narrow.judge_upstream(ip("10.255.0.1"), 80).allows());
  CHECK_FALSE(narrow.judge_address(ip("11.0.0.1"), 80).allows());
  CHECK(narrow.judge_address(ip("fd12::1"), 8443).allows());
  CHECK_FALSE(narrow.judge_address(ip("fd12::1"), 443).allows());
  CHECK(narrow.judge_address(ip("172.31.0.1"), 80).allows());
}

TEST_CASE("a preset names what an ecosystem needs, beside the other entries") {
  const Policy policy =
      Policy::parse({.allow = {"a.test"}, .deny = {}, .presets = {"npm", "github"}});
  CHECK(policy.judge_name("registry.npmjs.org", 443).allows());
  CHECK(policy.judge_name("github.com", 22).allows());
  CHECK(policy.judge_name("a.test", 443).allows());
  CHECK_FALSE(policy.judge_name("pypi.org", 443).allows());
  for (const Preset& preset : presets()) {
    CHECK_NOTHROW(Policy::parse({.allow = preset.allow}));
  }
  const std::vector<std::string> many(presets().size() + 1, "npm");
  CHECK_THROWS_AS(Policy::parse({.allow = {}, .deny = {}, .presets = many}), Error);
  try {
    Policy::parse({.allow = {}, .deny = {}, .presets = {"cobol"}});
    FAIL("was accepted");
  } catch (const Error& error) {
    CHECK(error.reason() == "invalid_preset");
    CHECK(std::string(error.what()).find("\"cobol\"") != std::string::npos);
  }
}

}  // namespace cellar::net
