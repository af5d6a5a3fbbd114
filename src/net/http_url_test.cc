#include "net/http_url.h"

#include <doctest/doctest.h>

namespace cellar::net {

TEST_CASE("a base URL names a host by name or address, a port and a path") {
  const auto named = parse_http_url("https://API.example.com/v1/");
  REQUIRE(named);
  CHECK(*named == HttpUrl{true, "api.example.com", 443, "API.example.com", "/v1"});
  CHECK_FALSE(named->is_loopback());
  const auto local = parse_http_url("http://127.0.0.1:8000");
  REQUIRE(local);
  CHECK(*local == HttpUrl{false, "127.0.0.1", 8000, "127.0.0.1:8000", ""});
  CHECK(local->is_loopback());
  const auto six = parse_http_url("http://[::1]:8000/a/b");
  REQUIRE(six);
  CHECK(*six == HttpUrl{false, "::1", 8000, "[::1]:8000", "/a/b"});
  CHECK(six->is_loopback());
  CHECK(parse_http_url("http://localhost:1/")->is_loopback());
  CHECK_FALSE(parse_http_url("http://localhost.example.com")->is_loopback());
  CHECK_FALSE(parse_http_url("http://10.0.0.1")->is_loopback());
}

TEST_CASE("what is no plain base URL is refused") {
  for (const char* text :
       {"", "api.example.com", "ftp://a.example", "https://", "https://a b.example",
        "https://u:p@a.example", "https://a.example/?q=1", "https://a.example/#x",
        "https://a.example/../x", "https://a.example:0", "https://a.example:70000",
        "https://a.example:", "http://::1", "http://[127.0.0.1]", "http://[x]"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_url(text));
  }
}

}  // namespace cellar::net
