#include "cell/output_log.h"

#include <doctest/doctest.h>

namespace cellar::cell {
namespace {

using Stream = OutputLog::Stream;

// "out:bytes" of each piece from there on, with spaces between them.
std::string pieces_of(const OutputLog& log, std::uint64_t from) {
  std::string text;
  while (const auto piece = log.read(from)) {
    text += (text.empty() ? "" : " ") + std::string(piece->stream == Stream::out ? "out" : "err") +
            "@" + std::to_string(piece->begin) + ":" + std::string(piece->bytes);
    from = piece->begin + piece->bytes.size();
  }
  return text;
}

}  // namespace

TEST_CASE("output is read from any place on, each stream by itself") {
  OutputLog log(100);
  CHECK_FALSE(log.read(0).has_value());
  log.append(Stream::out, "abc");
  log.append(Stream::out, "def");
  log.append(Stream::err, "X");
  log.append(Stream::err, "");
  log.append(Stream::out, "g");
  CHECK(pieces_of(log, 0) == "out@0:abcdef err@6:X out@7:g");
  CHECK(pieces_of(log, 4) == "out@4:ef err@6:X out@7:g");
  CHECK(pieces_of(log, 6) == "err@6:X out@7:g");
  CHECK(pieces_of(log, 8).empty());
  CHECK(pieces_of(log, 99).empty());
}

TEST_CASE("the oldest output is forgotten, and places stay what they are") {
  OutputLog log(10);
  for (int i = 0; i < 100; ++i) log.append(i % 2 == 0 ? Stream::out : Stream::err, "12345");
  CHECK(log.next() == 500);
  CHECK(log.first() >= 480);
  CHECK(log.first() <= 490);
  CHECK(log.read(0)->begin == log.first());
  CHECK(log.read(0)->stream == (log.first() / 5 % 2 == 0 ? Stream::out : Stream::err));
  CHECK(pieces_of(log, 495) == "err@495:12345");
}

TEST_CASE("what has ended keeps the newest bytes and no others, and may be forgotten") {
  OutputLog log(100);
  for (int i = 0; i < 4; ++i) log.append(Stream::out, std::string(45, 'a' + static_cast<char>(i)));
  CHECK(log.size() == 180);
  log.end();
  CHECK(log.first() == 80);
  CHECK(log.size() == 100);
  CHECK(log.read(0)->bytes.starts_with("bbbbbbbbbbc"));
  log.clear();
  CHECK(log.first() == 180);
  CHECK(log.next() == 180);
  CHECK_FALSE(log.read(0).has_value());
}

TEST_CASE("changes of the stream are limited, too") {
  OutputLog log(1 << 20);
  for (std::size_t i = 0; i <= OutputLog::kChangesMax; ++i) {
    log.append(i % 2 == 0 ? Stream::out : Stream::err, "x");
  }
  CHECK(log.next() == OutputLog::kChangesMax + 1);
  CHECK(log.first() == (OutputLog::kChangesMax + 1) / 2);
}

TEST_CASE("no character is cut in two while the rest may come") {
  OutputLog log(100);
  log.append(Stream::out, "a\xc3");
  CHECK(pieces_of(log, 0) == "out@0:a");
  CHECK_FALSE(log.read(1).has_value());
  log.append(Stream::out, "\xa4");
  CHECK(pieces_of(log, 0) == "out@0:a\xc3\xa4");
  log.append(Stream::out, "\xe2\x82");
  log.append(Stream::err, "!");
  CHECK(pieces_of(log, 3) == "out@3:\xe2\x82 err@5:!");  // It will not go on.
  log.append(Stream::out, "\xf0");
  CHECK(pieces_of(log, 6).empty());
  log.end();
  CHECK(pieces_of(log, 6) == "out@6:\xf0");
}

TEST_CASE("a piece has a limit, and ends between characters") {
  OutputLog log(1 << 20);
  std::string text = "x";
  while (text.size() < 2 * OutputLog::kPieceBytesMax) text += "\xc3\xa4";
  log.append(Stream::out, text);
  const auto piece = log.read(0);
  REQUIRE(piece.has_value());
  CHECK(piece->bytes.size() == OutputLog::kPieceBytesMax - 1);
  CHECK(log.read(piece->bytes.size())->bytes.starts_with("\xc3\xa4"));
}

}  // namespace cellar::cell
