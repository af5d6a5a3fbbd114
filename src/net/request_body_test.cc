#include "net/request_body.h"

#include <doctest/doctest.h>

namespace cellar::net {
namespace {

// What of `bytes` belongs to a chunked body, read in pieces of `piece` bytes: the text, or why not.
std::string chunked_part(const std::string& bytes, std::size_t piece) {
  RequestBody body = RequestBody::chunked();
  std::string part;
  for (std::size_t at = 0; at < bytes.size() && !body.has_ended(); at += piece) {
    const std::string_view next = std::string_view(bytes).substr(at, piece);
    part += next.substr(0, body.take(next));
    if (body.is_malformed()) return "(malformed)";
  }
  return part + (body.has_ended() ? "" : "(more)");
}

}  // namespace

TEST_CASE("a body of some length ends there, and what follows is not of it") {
  RequestBody body = RequestBody::of_length(5);
  CHECK(body.take("abc") == 3);
  CHECK_FALSE(body.has_ended());
  CHECK(body.take("deGET / HTTP/1.1") == 2);
  CHECK(body.has_ended());
  CHECK(body.take("more") == 0);
  CHECK(RequestBody().has_ended());
  CHECK(RequestBody::of_length(0).has_ended());
}

TEST_CASE("a chunked body ends behind its trailers, however it is cut") {
  const std::string whole = "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
  for (const std::size_t piece : {1UL, 2UL, 3UL, 7UL, 1000UL}) {
    CAPTURE(piece);
    CHECK(chunked_part(whole + "GET /evil HTTP/1.1\r\n", piece) == whole);
    CHECK(chunked_part("0\r\n\r\n0\r\n\r\n", piece) == "0\r\n\r\n");
    CHECK(chunked_part("5\r\nhel", piece).ends_with("(more)"));
  }
}

TEST_CASE("the content of a body is the same however its bytes are split") {
  const std::string bytes = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\nbehind";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    RequestBody chunks = RequestBody::chunked();
    std::string content;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      chunks.take(std::string_view(bytes).substr(at, size), &content);
    }
    CHECK(chunks.has_ended());
    CHECK(content == "hello world");
    RequestBody whole = RequestBody::of_length(3);
    content.clear();
    for (const std::string_view piece : {"ab", "cd"}) whole.take(piece, &content);
    CHECK(content == "abc");
  }
}

TEST_CASE("chunks that two servers could read differently are malformed") {
  for (const char* bytes :
       {"5\nhello", "5\rhello", "\r\n", "0x5\r\n", "+5\r\n", "-1\r\n", "5 \r\n", " 5\r\n", "g\r\n",
        "1000000000000000\r\n", "5\r\nhelloX", "5\r\nhello\n", "1;a\nb\r\n", "0\r\nT: \x01\r\n"}) {
    CAPTURE(bytes);
    CHECK(chunked_part(bytes, 1) == "(malformed)");
    CHECK(chunked_part(bytes, 1000) == "(malformed)");
  }
}

TEST_CASE("a line of a chunked body, and its trailers, have limits") {
  // "1;" and the CR count.
  const std::string longest(RequestBody::kLineBytesMax - 3, 'x');
  CHECK(chunked_part("1;" + longest + "\r\n", 1000).ends_with("(more)"));
  CHECK(chunked_part("1;" + longest + "x\r\n", 1000) == "(malformed)");
  std::string trailers = "0\r\n";
  for (std::size_t i = 0; i < RequestBody::kTrailersMax; ++i) trailers += "T: 1\r\n";
  CHECK(chunked_part(trailers + "\r\n", 1000) == trailers + "\r\n");
  CHECK(chunked_part(trailers + "T: 1\r\n", 1000) == "(malformed)");
}

}  // namespace cellar::net
