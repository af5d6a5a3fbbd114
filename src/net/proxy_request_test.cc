#include "net/proxy_request.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

// "host:port" and the head that is sent on, or "400".
std::string outcome_of(const std::string& request) {
  const auto read = read_proxy_request(request);
  const auto* proxied = std::get_if<ProxyRequest>(&read);
  if (proxied == nullptr) return "400";
  return proxied->host + ":" + std::to_string(proxied->port) +
         (proxied->is_connect ? " CONNECT" : "") + "\n" + proxied->head;
}

}  // namespace

TEST_CASE("a request with a whole URL is sent on for its host alone") {
  CHECK(outcome_of("GET http://Example.com/a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n"
                   "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\r\n") ==
        "example.com:80\nGET /a?b HTTP/1.1\r\nHost: Example.com\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n");
  CHECK(outcome_of("GET http://a.test:8080 HTTP/1.0\r\n\r\n") ==
        "a.test:8080\nGET / HTTP/1.0\r\nHost: a.test:8080\r\nConnection: close\r\n\r\n");
  CHECK(outcome_of("GET http://a.test?x HTTP/1.1\r\nHost: a.test\r\nConnection: X-Own, close\r\n"
                   "X-Own: 1\r\nX-Other: 2\r\nUpgrade: websocket\r\n\r\n") ==
        "a.test:80\nGET /?x HTTP/1.1\r\nHost: a.test\r\nX-Other: 2\r\nConnection: close\r\n\r\n");
  CHECK(outcome_of("GET http://[2001:DB8::7]:8080/ HTTP/1.1\r\nHost: [2001:db8::7]:8080\r\n\r\n")
            .starts_with("2001:db8::7:8080\n"));
}

TEST_CASE("CONNECT names a host and a port") {
  CHECK(outcome_of("CONNECT Example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n") ==
        "example.com:443 CONNECT\n");
  CHECK(outcome_of("CONNECT 10.0.0.1:22 HTTP/1.0\r\n\r\n") == "10.0.0.1:22 CONNECT\n");
  CHECK(outcome_of("CONNECT [::1]:22 HTTP/1.1\r\n\r\n") == "::1:22 CONNECT\n");
  for (const char* target : {"example.com", "example.com:", "example.com:0", "example.com:65536",
                             "example.com:+1", "::1:22", "[::1]", "[example.com]:443", "a b:1",
                             "1.2.3:80", "0x7f.1:80", "[fe80::1%1]:80", "u@a.test:443"}) {
    CAPTURE(target);
    CHECK(outcome_of("CONNECT " + std::string(target) + " HTTP/1.1\r\n\r\n") == "400");
  }
  CHECK(outcome_of("CONNECT a.test:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n") == "400");
}

TEST_CASE("the body's length is said once, plainly, and stays with the request") {
  const std::string start = "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n";
  auto read = read_proxy_request(start + "Content-Length: 5\r\n\r\nhello");
  ProxyRequest& request = std::get<ProxyRequest>(read);
  CHECK(request.head.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(request.body.take("hello there") == 5);
  auto chunked = read_proxy_request(start + "Transfer-Encoding: Chunked\r\n\r\n");
  CHECK(std::get<ProxyRequest>(chunked).body.take("0\r\n\r\nX") == 5);
}

TEST_CASE("a request that two servers could read differently is refused") {
  const std::string start = "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n";
  for (const char* headers : {
           "Content-Length: 5\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: identity\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Content-Length: +5\r\n",
           "Content-Length: 5, 5\r\n",
           "Content-Length: 0x5\r\n",
           "Content-Length: \r\n",
           "Content-Length: 99999999999999999999\r\n",
           "Content-Length : 5\r\n",
           "X: 1\r\n Content-Length: 5\r\n",
           "X: 1\nContent-Length: 5\r\n",
           "X: 1\rContent-Length: 5\r\n",
           "Connection: Content-Length\r\nContent-Length: 5\r\n",
           "Connection: close, transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
           "Connection: host\r\n",
           "Host: evil.test\r\n",
           "Host: a.test\r\n",
           "X\r\n",
           ": 1\r\n",
       }) {
    CAPTURE(headers);
    CHECK(outcome_of(start + headers + "\r\n") == "400");
  }
  for (const char* line :
       {"GET http://a.test/ HTTP/1.1\r\nHost: evil.test", "GET http://u:p@a.test/ HTTP/1.1",
        "GET http:///x HTTP/1.1", "GET http://a.test:80:80/ HTTP/1.1", "GET /x HTTP/1.1",
        "GET https://a.test/ HTTP/1.1", "GET ftp://a.test/ HTTP/1.1", "GET a.test HTTP/1.1",
        "GET http://a.test/ HTTP/2.0", "GET  http://a.test/ HTTP/1.1",
        "GET http://a.test/#x HTTP/1.1", "GET http://a.test\\@b.test/ HTTP/1.1",
        "POST http://a.test/ HTTP/1.0\r\nTransfer-Encoding: chunked"}) {
    CAPTURE(line);
    CHECK(outcome_of(std::string(line) + "\r\n\r\n") == "400");
  }
}

TEST_CASE("a head that is not whole is waited for, unless it cannot become one") {
  CHECK(peek_proxy_head("").state == PeekedName::State::more);
  CHECK(peek_proxy_head("CONNECT a.test:443 HTTP/1.1\r\n").state == PeekedName::State::more);
  CHECK(peek_proxy_head("CONNECT a.test:443 HTTP/1.1\r\n\r\nx").state == PeekedName::State::found);
  CHECK(peek_proxy_head("\x16\x03\x01").state == PeekedName::State::malformed);
  CHECK(peek_proxy_head("GET " + std::string(kHeadSizeMax, 'a')).state ==
        PeekedName::State::malformed);
}

}  // namespace cellar::net
