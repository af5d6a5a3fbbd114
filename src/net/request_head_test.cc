#include "net/request_head.h"

#include <doctest/doctest.h>

#include "net/rules.h"

namespace cellar::net {
namespace {

// Why a request with that target and Host is not sent to `to`; "sent" where it is.
std::string why_not_to(const Destination& to, const std::string& host,
                       const std::string& target = "/") {
  const auto read =
      read_request_head("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n", to);
  const auto* bad = std::get_if<BadRequest>(&read);
  return bad == nullptr ? "sent" : bad->text;
}

}  // namespace

TEST_CASE("Host names the connection's host and port, whose usual one need not be said") {
  const Destination secure{"a.test", 443, true};
  const Destination plain{"a.test", 80, false};
  const Destination other{"a.test", 8443, true};
  const std::string kRefused = "\"Host\" names another host, or another port.";
  for (const char* same : {"a.test", "A.test", "a.test:443", "a.test:"}) {
    CHECK(why_not_to(secure, same) == "sent");
  }
  for (const char* different :
       {"a.test:80", "a.test:8443", "a.test:0", "a.test:065979", "b.test"}) {
    CHECK(why_not_to(secure, different) == kRefused);
  }
  CHECK(why_not_to(plain, "a.test:80") == "sent");
  CHECK(why_not_to(plain, "a.test:443") == kRefused);
  CHECK(why_not_to(other, "a.test:8443") == "sent");
  CHECK(why_not_to(other, "a.test") == kRefused);
  CHECK(why_not_to(plain, "a.test", "http://a.test:80/x") == "sent");
  CHECK(why_not_to(plain, "a.test", "http://a.test:81/x") ==
        "The URL names another host, or another port.");
}

}  // namespace cellar::net
