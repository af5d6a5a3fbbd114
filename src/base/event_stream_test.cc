#include "base/event_stream.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar {
namespace {

constexpr std::size_t kTestEventMax = 1 << 20;

// "id/type/data;" for each event of `text`, given in pieces of `piece` bytes.
std::string events_of(std::string_view text, std::size_t piece) {
  std::string out;
  EventStreamParser parser("it", kTestEventMax);
  const auto on_event = [&](const StreamEvent& event) {
    out += event.id + "/" + event.type + "/" + event.data + ";";
  };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    parser.feed(text.substr(at, piece), on_event);
  }
  return out;
}

}  // namespace

TEST_CASE("events are the same in pieces of any size, with line ends of any kind") {
  const std::string text =
      "\xef\xbb\xbf: hello\n\nid: 1\nevent: stdout\ndata: {\"a\":1}\n\n"
      "retry: 20\ndata:one\ndata\ndata:  two\n\n"
      "event: lost\n\n:comment\nid:2\nunknown: x\ndata: y\n\nid\ndata: z\n\ndata: torn\n";
  std::string crlf, cr;
  for (const char c : text) {
    crlf += c == '\n' ? "\r\n" : std::string(1, c);
    cr += c == '\n' ? '\r' : c;
  }
  const std::string expected = "1/stdout/{\"a\":1};1/message/one\n\n two;2/message/y;/message/z;";
  for (std::size_t piece = 1; piece < 40; ++piece) {
    CAPTURE(piece);
    CHECK(events_of(text, piece) == expected);
    CHECK(events_of(crlf, piece) == expected);
    CHECK(events_of(cr, piece) == expected);
  }
}

TEST_CASE("the data of events is the same however their bytes are split") {
  const std::string bytes =
      ": hello\n\nevent: a\ndata: {\"x\":1}\n\ndata:two\r\ndata: lines\r\n\r\nid: "
      "1\rdata:\r\rdata: "
      "[DONE]\n\ndata: not ended\n";
  const std::vector<std::string> whole = {"{\"x\":1}", "two\nlines", "", "[DONE]"};
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    CAPTURE(size);
    EventStreamParser parser("it", kTestEventMax);
    std::vector<std::string> events;
    const auto on_event = [&](const StreamEvent& event) { events.push_back(event.data); };
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      parser.feed(std::string_view(bytes).substr(at, size), on_event);
    }
    CHECK(events == whole);
  }
}

TEST_CASE("a stream may say where it is without an event, and that holds once it is complete") {
  EventStreamParser parser("it", kTestEventMax);
  const auto ignore = [](const StreamEvent&) {};
  parser.feed("retry: 1000\nid: 7\n", ignore);
  CHECK(parser.last_id().empty());
  parser.feed("\n", ignore);
  CHECK(parser.last_id() == "7");
  parser.feed("id: 8\ndata: torn", ignore);
  CHECK(parser.last_id() == "7");
}

TEST_CASE("an event without end is refused") {
  EventStreamParser parser("it", kTestEventMax);
  const auto ignore = [](const StreamEvent&) {};
  parser.feed("data: " + std::string(kTestEventMax - 6, 'x'), ignore);
  CHECK_THROWS_WITH_AS(parser.feed("x", ignore), "it sent an event of more than 1048576 bytes",
                       Error);
}

TEST_CASE("the server says how long to wait before a new connection") {
  EventStreamParser parser("it", kTestEventMax);
  const auto ignore = [](const StreamEvent&) {};
  CHECK_FALSE(parser.retry().has_value());
  parser.feed("retry: 250\nretry: x\n", ignore);
  CHECK(parser.retry() == std::chrono::milliseconds(250));
}

}  // namespace cellar
