#include "llm/sse.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::llm {

TEST_CASE("events are the same however their bytes are split") {
  const std::string bytes =
      ": hello\n\nevent: a\ndata: {\"x\":1}\n\ndata:two\r\ndata: lines\r\n\r\nid: "
      "1\rdata:\r\rdata: "
      "[DONE]\n\ndata: not ended\n";
  const std::vector<std::string> whole = {"{\"x\":1}", "two\nlines", "", "[DONE]"};
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    SseReader reader;
    std::vector<std::string> events;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      for (std::string& event : reader.take(std::string_view(bytes).substr(at, size))) {
        events.push_back(std::move(event));
      }
    }
    CHECK(events == whole);
  }
}

TEST_CASE("an event without end is refused") {
  SseReader reader;
  reader.take("data: " + std::string(SseReader::kEventBytesMax - 6, 'x'));
  CHECK_THROWS_AS(reader.take("x"), Error);
}

}  // namespace cellar::llm
