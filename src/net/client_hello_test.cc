#include "net/client_hello.h"

#include <doctest/doctest.h>

#include "net/client_hello_fixture.h"

namespace cellar::net {
namespace {

using State = PeekedName::State;

}  // namespace

TEST_CASE("the server name is found, and what follows the message is ignored") {
  const std::string bytes = client_hello("Api.Example.com");
  CHECK(peek_client_hello(bytes).state == State::found);
  CHECK(peek_client_hello(bytes).name == "api.example.com");
  CHECK(peek_client_hello(bytes + "anything").name == "api.example.com");
}

TEST_CASE("a hello that is cut anywhere needs more") {
  const std::string bytes = client_hello("example.com");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(peek_client_hello(std::string(bytes, 0, size)).state == State::more);
  }
}

TEST_CASE("a hello may be spread over records of any size") {
  const std::string message = hello_message(sni_extension("example.com"));
  for (const std::size_t record_size : {1, 3, 40, 100}) {
    CAPTURE(record_size);
    std::string bytes;
    for (std::size_t at = 0; at < message.size(); at += record_size) {
      bytes += tls_record(message.substr(at, record_size));
    }
    CHECK(peek_client_hello(bytes).name == "example.com");
    CHECK(peek_client_hello(std::string(bytes, 0, bytes.size() - 1)).state == State::more);
  }
}

TEST_CASE("a hello without a server name names none") {
  CHECK(peek_client_hello(tls_record(hello_message(std::nullopt))).state == State::none);
  CHECK(peek_client_hello(tls_record(hello_message(""))).state == State::none);
  CHECK(peek_client_hello(tls_record(hello_message(tls_extension(16, "h2")))).state == State::none);
}

TEST_CASE("what is no TLS, or names no single host, is malformed") {
  using std::string_literals::operator""s;
  for (const std::string& bytes :
       {"GET / HTTP/1.1\r\n\r\n"s, "SSH-2.0-x\r\n"s, "\x80"s, "\x15\x03\x01\x00\x02\x01\x00"s,
        "\x16\x02\x00\x00\x04"s, "\x16\x03\x01\x00\x00"s, "\x16\x03\x01\x40\x01"s,
        tls_record("\x02\x00\x00\x00"s), tls_record("\x01\x01\x00\x01"s), client_hello("no host"s),
        client_hello("a\0b.com"s), client_hello("192.0.2.1"s), client_hello(""s),
        tls_record(hello_message(sni_extension("a.com") + sni_extension("a.com"))),
        tls_record(hello_message(tls_extension(0, ""))),
        tls_record(hello_message(tls_extension(0,
                                               "\x00\x04\x01\x00\x01"
                                               "a"s))),
        tls_record(hello_message(sni_extension("a.com") + "\x00"s)),
        tls_record(hello_message(sni_extension("a.com"))).insert(9 + 34, "\xFF")}) {
    CAPTURE(bytes);
    CHECK(peek_client_hello(bytes).state == State::malformed);
  }
}

TEST_CASE("a hello is 64 KiB at most") {
  std::string padding = tls_extension(21, std::string(60'000, '\0'));
  const auto in_records = [](const std::string& message) {
    std::string bytes;
    for (std::size_t at = 0; at < message.size(); at += 16'000) {
      bytes += tls_record(message.substr(at, 16'000));
    }
    return bytes;
  };
  const std::string large = in_records(hello_message(padding + sni_extension("example.com")));
  CHECK(peek_client_hello(large).name == "example.com");
  std::string endless = tls_record("\x01" + std::string("\x00\xFF\xFF", 3));
  while (endless.size() < kHeadSizeMax) endless += tls_record("x");
  CHECK(peek_client_hello(endless).state == State::malformed);
}

}  // namespace cellar::net
