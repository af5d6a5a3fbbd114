#include "net/policy.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::net {
namespace {

asio::ip::address ip(const char* text) { return asio::ip::make_address(text); }

}  // namespace

TEST_CASE("nothing is allowed by default") {
  const Policy policy;
  CHECK_FALSE(policy.allows_name("example.com", 443));
  CHECK_FALSE(policy.lists_name("example.com"));
  CHECK_FALSE(policy.allows_address(ip("203.0.113.7"), 443));
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{80, 443});
}

TEST_CASE("a name is allowed on ports 80 and 443, or on the port that it is listed with") {
  const Policy policy = Policy::parse({"example.com", "git.example.com:22"});
  CHECK(policy.allows_name("example.com", 443));
  CHECK(policy.allows_name("example.com", 80));
  CHECK_FALSE(policy.allows_name("example.com", 22));
  CHECK(policy.allows_name("git.example.com", 22));
  CHECK_FALSE(policy.allows_name("git.example.com", 443));
  CHECK(policy.lists_name("git.example.com"));
  CHECK_FALSE(policy.lists_name("www.example.com"));
  CHECK_FALSE(policy.lists_name("notexample.com"));
}

TEST_CASE("a wildcard covers every name below, not the name itself") {
  const Policy policy = Policy::parse({"*.example.com", "*.db.test:5432"});
  CHECK(policy.allows_name("a.example.com", 443));
  CHECK(policy.allows_name("b.a.example.com", 80));
  CHECK_FALSE(policy.allows_name("example.com", 443));
  CHECK_FALSE(policy.allows_name("badexample.com", 443));
  CHECK_FALSE(policy.allows_name("example.com.evil.test", 443));
  CHECK(policy.allows_name("one.db.test", 5432));
  CHECK_FALSE(policy.allows_name("one.db.test", 443));
}

TEST_CASE("names are the same in any case and with a dot at the end") {
  const Policy policy = Policy::parse({"Example.COM."});
  CHECK(policy.allows_name("eXample.com", 443));
  CHECK(policy.allows_name("example.com.", 443));
  CHECK_FALSE(policy.allows_name("example.com..", 443));
}

TEST_CASE("only an address that is listed literally is allowed") {
  const Policy policy = Policy::parse(
      {"203.0.113.7", "127.0.0.1:8080", "[2001:db8::7]:8443", "2001:db8::8", "[2001:db8::9]"});
  CHECK(policy.allows_address(ip("203.0.113.7"), 443));
  CHECK(policy.allows_address(ip("::ffff:203.0.113.7"), 443));
  CHECK_FALSE(policy.allows_address(ip("203.0.113.8"), 443));
  CHECK_FALSE(policy.allows_address(ip("203.0.113.7"), 8080));
  CHECK(policy.allows_address(ip("127.0.0.1"), 8080));
  CHECK_FALSE(policy.allows_address(ip("127.0.0.1"), 80));
  CHECK(policy.allows_address(ip("2001:db8::7"), 8443));
  CHECK(policy.allows_address(ip("2001:db8::8"), 80));
  CHECK(policy.allows_address(ip("2001:db8::9"), 443));
  CHECK_FALSE(policy.allows_name("203.0.113.7", 443));
  CHECK(policy.tcp_ports() == std::vector<std::uint16_t>{80, 443, 8080, 8443});
}

TEST_CASE("an entry that cannot be meant is refused by its own text") {
  const std::string long_label(64, 'a');
  for (const std::string& entry : {std::string(""),
                                   std::string("*"),
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
                                   std::string("1.2.3"),
                                   std::string("1.2.3.4.5"),
                                   std::string("256.1.1.1"),
                                   std::string("10.0.0.0/8"),
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
      Policy::parse({"example.com", entry});
      FAIL("was accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      CHECK(error.reason() == "invalid_allow");
      CHECK(std::string(error.what()).find("\"" + entry + "\"") != std::string::npos);
    }
  }
}

TEST_CASE("an allow-list has 256 entries at most") {
  CHECK_NOTHROW(Policy::parse(std::vector<std::string>(256, "example.com")));
  CHECK_THROWS_AS(Policy::parse(std::vector<std::string>(257, "example.com")), Error);
}

TEST_CASE("addresses that are not of the public internet are private") {
  for (const char* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "10.255.255.255",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.8.8.8",
                           "169.254.169.254",
                           "168.63.129.16",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.8",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "224.0.0.1",
                           "239.1.1.1",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fc00::1",
                           "fd12::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "::ffff:10.0.0.1",
                           "::ffff:127.0.0.1",
                           "::127.0.0.1",
                           "64:ff9b::a00:1",
                           "64:ff9b::808:808",
                           "64:ff9b:1::1",
                           "2002:7f00:1::",
                           "2002:a00:1::1",
                           "2001::1",
                           "100::1"}) {
    CAPTURE(text);
    CHECK(is_private_address(ip(text)));
  }
  for (const char* text :
       {"1.1.1.1",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",  "100.128.0.0",
        "126.1.1.1",       "128.0.0.1",       "169.253.1.1",    "172.15.255.255",  "172.32.0.0",
        "192.0.2.1",       "192.167.1.1",     "198.17.255.255", "198.20.0.0",      "198.51.100.1",
        "203.0.113.7",     "223.255.255.255", "::ffff:1.1.1.1", "2606:4700::1111", "2a00:1450::1",
        "2001:4860::8888", "2001:db8::1",     "2002:101:101::1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_private_address(ip(text)));
  }
}

}  // namespace cellar::net
