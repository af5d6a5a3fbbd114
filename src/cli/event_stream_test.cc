#include "cli/event_stream.h"

#include <doctest/doctest.h>

namespace cellar::cli {
namespace {

// "id/type/data;" for each event of `text`, given in pieces of `piece` bytes.
std::string events_of(std::string_view text, std::size_t piece) {
  std::string out;
  EventStreamParser parser;
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

TEST_CASE("the server says how long to wait before a new connection") {
  EventStreamParser parser;
  const auto ignore = [](const StreamEvent&) {};
  CHECK_FALSE(parser.retry().has_value());
  parser.feed("retry: 250\nretry: x\n", ignore);
  CHECK(parser.retry() == std::chrono::milliseconds(250));
}

}  // namespace cellar::cli
