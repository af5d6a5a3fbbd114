#include "http/head.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::http {

TEST_CASE("a head that two programs could read in two ways is refused, saying why") {
  const Fields host = {{"Host", "x"}};
  const auto with = [&](Fields more) {
    more.insert(more.begin(), host.begin(), host.end());
    return more;
  };
  CHECK_NOTHROW(check_head("/", host, 11));
  CHECK_NOTHROW(check_head("/", {}, 10));
  CHECK_NOTHROW(check_head("/a", with({{"Transfer-Encoding", "Chunked"}}), 11));
  CHECK_NOTHROW(check_head("/a", with({{"Content-Length", "0"}}), 11));
  const std::vector<Fields> bad = {
      {},
      with({{"host", "y"}}),
      with({{"Content-Length", "1"}, {"content-length", "1"}}),
      with({{"Content-Length", "+1"}}),
      with({{"Content-Length", "1, 1"}}),
      with({{"Content-Length", ""}}),
      with({{"Transfer-Encoding", "gzip, chunked"}}),
      with({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}),
      with({{"Transfer-Encoding", "xchunked"}}),
      with({{"Transfer-Encoding", "chunked"}, {"Content-Length", "3"}})};
  for (const Fields& fields : bad) {
    std::string why;
    try {
      check_head("/", fields, 11);
    } catch (const Error& error) {
      why = error.what();
    }
    CHECK(why != "");
    CHECK(why.find_first_of("\"\\") == why.npos);  // It goes into JSON as it is.
  }
  CHECK_THROWS_AS(check_head("/", with({{"Transfer-Encoding", "chunked"}}), 10), Error);
  for (const char* target : {"http://x/", "*", "x:443", ""}) {
    CHECK_THROWS_AS(check_head(target, host, 11), Error);
  }
}

TEST_CASE("what is between two neighbours is not passed on, Host always is") {
  const Fields fields = {{"Host", "x"},          {"Connection", "close, X-Own,host"},
                         {"x-own", "1"},         {"Keep-Alive", "5"},
                         {"TE", "trailers"},     {"Transfer-Encoding", "chunked"},
                         {"Upgrade", "h2c"},     {"Proxy-Authorization", "secret"},
                         {"Expect", "nothing"},  {"Content-Length", "3"},
                         {"Accept", "text/html"}};
  CHECK(end_to_end(fields) == Fields{{"Host", "x"}, {"Accept", "text/html"}});
}

TEST_CASE("an upgrade is one that Connection names") {
  CHECK(upgrade_of({{"Upgrade", "websocket"}}).empty());
  CHECK(upgrade_of({{"Upgrade", "websocket"}, {"Connection", "keep-alive, Upgrade"}}) ==
        "websocket");
  CHECK(upgrade_of({{"Connection", "upgrade"}}).empty());
  for (const char* refused : {"h2c", "H2C", "h2c, websocket", "websocket, h2c"}) {
    CHECK(upgrade_of({{"Upgrade", refused}, {"Connection", "Upgrade"}}).empty());
  }
}

TEST_CASE("a WebSocket of another version, or without a key, is refused") {
  const Fields right = {{"Sec-WebSocket-Version", "13"},
                        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  CHECK_NOTHROW(check_web_socket(right));
  for (const Fields& wrong :
       {Fields{}, Fields{right[0]}, Fields{right[1]}, Fields{right[0], right[1], right[1]},
        Fields{{"Sec-WebSocket-Version", "8"}, right[1]},
        Fields{right[0], {"Sec-WebSocket-Key", "x"}}}) {
    CHECK_THROWS_AS(check_web_socket(wrong), Error);
  }
}

}  // namespace cellar::http
