#include "net/chunks.h"

#include <doctest/doctest.h>

namespace cellar::net {

TEST_CASE("the content of chunks is the same however their bytes are split") {
  const std::string bytes = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\nbehind";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    Chunks chunks;
    std::string content;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      chunks.take(std::string_view(bytes).substr(at, size), content);
    }
    CHECK(chunks.has_ended());
    CHECK(content == "hello world");
  }
}

TEST_CASE("chunks that are not to the letter are malformed") {
  std::string long_line(Chunks::kLineBytesMax + 1, 'a');
  std::string trailers = "0\r\n";
  for (std::size_t at = 0; at <= Chunks::kTrailersMax; ++at) trailers += "A: b\r\n";
  for (const std::string& bytes :
       {std::string("5\nhello"), std::string("x\r\n"), std::string("-1\r\n"), std::string("\r\n"),
        std::string("1\r\nab\r\n"), std::string("ffffffffffffffff\r\n"), long_line, trailers}) {
    CAPTURE(bytes);
    Chunks chunks;
    std::string content;
    chunks.take(bytes, content);
    CHECK(chunks.is_malformed());
  }
}

}  // namespace cellar::net
