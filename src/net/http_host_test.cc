#include "net/http_host.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

using State = PeekedName::State;
using std::string_literals::operator""s;

}  // namespace

TEST_CASE("the host of a request is its Host header, without the port") {
  for (const std::string& head :
       {"GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n"s,
        "GET / HTTP/1.1\r\nAccept: */*\r\nhOST:example.com:80\t\r\n\r\nbody"s,
        "POST /x?y HTTP/1.0\r\nHost: example.com.\r\nX: \xC3\xBC\r\n\r\n"s,
        "OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n"s,
        "GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\n\r\n"s,
        "GET HTTP://EXAMPLE.com:80?q HTTP/1.1\r\n\r\n"s,
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"s}) {
    CAPTURE(head);
    CHECK(peek_http_host(head).state == State::found);
    CHECK(peek_http_host(head).name == "example.com");
  }
}

TEST_CASE("a head that is cut anywhere needs more") {
  const std::string head = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size) {
    CAPTURE(size);
    CHECK(peek_http_host(head.substr(0, size)).state == State::more);
  }
}

TEST_CASE("a request for an address or for nobody names none") {
  for (const std::string& head : {"GET / HTTP/1.0\r\n\r\n"s, "GET / HTTP/1.1\r\nHost:\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: 203.0.113.7:80\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"s}) {
    CAPTURE(head);
    CHECK(peek_http_host(head).state == State::none);
  }
}

TEST_CASE("a head that two readers could read differently is malformed") {
  for (const std::string& head : {"GET / HTTP/1.1\r\nHost: a.com\r\nHost: b.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: a.com\r\nHost: a.com\r\n\r\n"s,
                                  "GET http://a.com/ HTTP/1.1\r\nHost: b.com\r\n\r\n"s,
                                  "GET http://a.com/ HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n"s,
                                  "CONNECT a.com:443 HTTP/1.1\r\nHost: b.com\r\n\r\n"s,
                                  "GET https://a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n"s,
                                  "GET http://user@a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost : a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\n Host: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nX: y\r\n folded\r\nHost: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\nHost: b.com\r\nHost: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nX: y\nHost: b.com\r\nHost: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nX: y\rHost: b.com\r\nHost: a.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: a.com\0.b.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: a.com, b.com\r\n\r\n"s,
                                  "GET / HTTP/1.1\r\nHost: a.com:x\r\n\r\n"s,
                                  "GET  / HTTP/1.1\r\nHost: a.com\r\n\r\n"s,
                                  "GET /\r\nHost: a.com\r\n\r\n"s,
                                  "GET a.com HTTP/1.1\r\nHost: a.com\r\n\r\n"s,
                                  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s,
                                  "\r\nGET / HTTP/1.1\r\nHost: a.com\r\n\r\n"s,
                                  "\x16\x03\x01\x00\x05"s,
                                  "SSH-2.0-OpenSSH_9.2(x)"s,
                                  std::string(40, 'A')}) {
    CAPTURE(head);
    CHECK(peek_http_host(head).state == State::malformed);
  }
}

TEST_CASE("a head is 64 KiB at most") {
  const auto head_of = [](std::size_t size) {
    std::string head = "GET / HTTP/1.1\r\nHost: a.com\r\nX: ";
    return head + std::string(size - head.size() - 4, 'x') + "\r\n\r\n";
  };
  CHECK(peek_http_host(head_of(kHeadSizeMax)).name == "a.com");
  CHECK(peek_http_host(head_of(kHeadSizeMax + 1)).state == State::malformed);
}

}  // namespace cellar::net
