#include "search/chunker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace cellar::search {
namespace {

// Chunks join up to the text, and their lines are counted right.
void check_whole(std::string_view text) {
  std::size_t at = 0;
  for (const Chunk& chunk : cut_chunks(text)) {
    CHECK(chunk.begin == at);
    CHECK(chunk.end > chunk.begin);
    CHECK(chunk.end - chunk.begin <= kChunkBytesMax);
    const auto line_of = [&](std::size_t place) {
      return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(place), '\n');
    };
    CHECK(chunk.start_line == line_of(chunk.begin));
    CHECK(chunk.end_line == line_of(chunk.end - 1));
    at = chunk.end;
  }
  CHECK(at == text.size());
}

std::string repeated(std::string_view line, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += line;
  return out;
}

}  // namespace

TEST_CASE("chunks are whole lines, and all of the text") {
  check_whole("");
  check_whole("a");
  check_whole("\n");
  check_whole(repeated("\n", 5000));
  check_whole(repeated("int a = 1;\n", 1000));
  check_whole(repeated("x", 10'000));
  check_whole(repeated("x", 10'000) + "\n" + repeated("y\n", 2000));
  CHECK(cut_chunks("").empty());
}

TEST_CASE("a text is cut before what begins, not inside of it") {
  const std::string body =
      "int f() {\n" + repeated("  call(with, many, arguments, in, each);\n", 20) + "}\n";
  const std::string text = body + "\n// About g.\n" + "int g() {\n" + body;
  const auto chunks = cut_chunks(text);
  REQUIRE(chunks.size() == 2);
  CHECK(text.substr(chunks[1].begin, 11) == "// About g.");  // The comment goes with its function.
  CHECK(chunks[1].start_line == 24);
}

TEST_CASE("an over-long line is cut between characters, never inside one") {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    const std::string text = std::string(shift, 'a') + repeated("\xF0\x9F\x98\x80", 1000);
    check_whole(text);
    for (const Chunk& chunk : cut_chunks(text)) {
      CHECK((static_cast<unsigned char>(text[chunk.begin]) & 0xC0) != 0x80);
      CHECK(chunk.start_line == 1);
    }
  }
  check_whole(std::string(5000, '\x80'));  // Not UTF-8 at all.
}

}  // namespace cellar::search
