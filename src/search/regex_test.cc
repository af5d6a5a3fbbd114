#include "search/regex.h"

#include <doctest/doctest.h>

namespace cellar::search {
namespace {

using LineEnds = Regex::LineEnds;

// Behind that many bytes, and with more than a window of them behind it.
std::string text_with(std::size_t bytes_before, std::string_view what) {
  std::string text;
  while (text.size() + 80 < bytes_before) text += std::string(79, 'x') + "\n";
  text += std::string(bytes_before - text.size(), 'y') + std::string(what);
  return text + "\n" + std::string(Regex::kWindowBytes * 2, 'z');
}

}  // namespace

TEST_CASE("a match is found wherever it lies in a large text") {
  const std::string inner(Regex::kMatchBytesMax - 10, '\n');
  const std::string what = "BEGIN" + inner + "END";
  const Regex regex("(?s)BEGIN.*?END");
  for (std::size_t at = 100; at < 2 * Regex::kWindowBytes; at += 1500) {
    CAPTURE(at);
    const auto match = regex.find(text_with(at, what), 0);
    REQUIRE(match);
    CHECK(match->begin == at);
    CHECK(match->end == at + what.size());
  }
}

TEST_CASE("lines are as long as they are, whatever the windows") {
  const std::string line(Regex::kMatchBytesMax - 1, 'a');
  std::string text;
  while (text.size() < 3 * Regex::kWindowBytes) text += line + "\n";
  text += line + "b\nc";
  const Regex regex("^a*b$", LineEnds::never);
  const auto match = regex.find(text, 0);
  REQUIRE(match);
  CHECK(match->begin == text.size() - line.size() - 3);
  CHECK(match->end == text.size() - 2);
  CHECK(regex.find(text, match->begin)->begin == match->begin);
  CHECK_FALSE(regex.find(text, match->begin + 1));
}

TEST_CASE("where a window begins or ends is neither a line's nor a word's end") {
  const std::string text(4 * Regex::kWindowBytes, 'y');
  for (const LineEnds ends : {LineEnds::matched, LineEnds::never}) {
    CHECK_FALSE(Regex("^y", ends).find(text, 1));
    CHECK_FALSE(Regex("\\by", ends).find(text, 1));
    CHECK(Regex("y$", ends).find(text, 0)->begin == text.size() - 1);
    CHECK(Regex("y\\b", ends).find(text, 0)->begin == text.size() - 1);
    CHECK(Regex("x?$", ends).find(text, 0)->begin == text.size());
  }
}

TEST_CASE("between the windows of a large text it is asked whether to go on") {
  const std::string line(10 * Regex::kWindowBytes, 'y');
  for (const LineEnds ends : {LineEnds::matched, LineEnds::never}) {
    const Regex regex("z", ends);
    int count = 0;
    CHECK_FALSE(regex.find(line + "z", 0, [&] { return ++count < 3; }));
    CHECK(count == 3);
    CHECK(regex.find(line + "z", 0, [&] { return ++count > 0; })->begin == line.size());
    CHECK(count > 12);
  }
}

}  // namespace cellar::search
