#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "search/index.h"
#include "search/regex.h"

namespace cellar::search {
namespace {

Index small_tree() {
  Index index;
  const auto put = [&](const std::string& path, const std::string& text) {
    CHECK(index.put({.path = path, .size_bytes = text.size()}, text) == Admission::indexed);
  };
  put("src/b.py",
      "def parse_config(text):\n    return text\n\nclass ParseConfigError:\n    pass\n");
  put("src/a.js", "function parseConfig() {}\n// parse it\nconst LIMIT = 3;\n");
  put("tests/b_test.py", "def parse_config():\n    pass\n");
  put("doc.md", "To parse a config:\r\nparse it");
  return index;
}

// "path:start-end:content " for each hit.
std::string grep(const Index& index, std::string_view pattern, QueryOptions options = {}) {
  options.mode = Mode::regex;
  std::string out;
  for (const Hit& hit : index.query(pattern, options)) {
    out += hit.path + ":" + std::to_string(hit.start_line) + "-" + std::to_string(hit.end_line) +
           ":" + hit.content + "|";
  }
  return out;
}

std::string symbols(const Index& index, std::string_view name, std::size_t limit = 10) {
  std::string out;
  for (const SymbolHit& hit : index.symbols(name, limit)) {
    out += hit.path + ":" + std::to_string(hit.line) + ":" + std::string(to_string(hit.kind)) +
           ":" + hit.name + " ";
  }
  return out;
}

}  // namespace

TEST_CASE("a search for a regular expression whose time is over says so") {
  const Index index = small_tree();
  RegexHits found = index.query_regex("parse", {.regex_time_max = std::chrono::milliseconds(0)});
  CHECK(found.out_of_time);
  CHECK(found.hits.empty());
  found = index.query_regex("parse", {.regex_time_max = std::chrono::hours(1)});
  CHECK_FALSE(found.out_of_time);
  CHECK(found.hits.size() == 6);
}

TEST_CASE("a regular expression finds lines, in the order of paths and lines") {
  const Index index = small_tree();
  CHECK(grep(index, "parse it") == "doc.md:2-2:parse it|src/a.js:2-2:// parse it|");
  CHECK(grep(index, "^def \\w+") ==
        "src/b.py:1-1:def parse_config(text):|"
        "tests/b_test.py:1-1:def parse_config():|");
  CHECK(grep(index, "(?i)limit = \\d$").empty());
  CHECK(grep(index, "LIMIT = \\d;$") == "src/a.js:3-3:const LIMIT = 3;|");
  CHECK(grep(index, "text\\n\\nclass") ==
        "src/b.py:2-4:    return text\n\nclass ParseConfigError:|");
  CHECK(grep(index, "nowhere").empty());
  CHECK(grep(index, "x*", {.limit = 3, .languages = {"markdown"}}) ==
        "doc.md:1-1:To parse a config:\r|doc.md:2-2:parse it|");
  CHECK(grep(index, "parse", {.limit = 1}) == "doc.md:1-1:To parse a config:\r|");
  CHECK(grep(index, "parse", {.chunks_per_file = 1, .paths = {"src/"}}) ==
        "src/a.js:1-1:function parseConfig() {}|src/b.py:1-1:def parse_config(text):|");
}

TEST_CASE("a regular expression that is none is refused, one made to explode is not slow") {
  const Index index = small_tree();
  for (const char* pattern : {"", "(", "[", "a{1001}", "(?=a)", "\\1", "\xFF("}) {
    CHECK_THROWS_AS(grep(index, pattern), Error);
  }
  CHECK_THROWS_AS(grep(index, std::string(Regex::kPatternBytesMax + 1, 'a')), Error);
  CHECK_THROWS_AS(grep(index, ".{0,300}"), Error);  // Its program is too long.
  CHECK_THROWS_WITH_AS(grep(index, "a(b"),
                       "the regular expression is not one of RE2: missing ): a(b", Error);
  CHECK_THROWS_WITH_AS(grep(index, "a)(b"),
                       "the regular expression is not one of RE2: unexpected ): a)(b", Error);
  Index large;
  const std::string text = std::string(500'000, 'a') + "\n" + std::string(5000, '\n');
  REQUIRE(large.put({.path = "a", .size_bytes = text.size()}, text) == Admission::indexed);
  std::string program;  // Its automaton does not fit.
  for (int i = 0; i < 80; ++i) program += "[ab]{1000}";
  CHECK_THROWS_AS(grep(large, program + "c"), Error);
  CHECK(grep(large, "(a*)*b").empty());
  CHECK(grep(large, "(a|aa)+$").size() < 2 * kChunkBytesMax);  // A line is cut as a chunk is.
}

TEST_CASE("definitions are found by name: the same, then beginnings, then parts; tests last") {
  const Index index = small_tree();
  CHECK(symbols(index, "parse_config") ==
        "src/b.py:1:function:parse_config tests/b_test.py:1:function:parse_config "
        "src/a.js:1:function:parseConfig src/b.py:4:type:ParseConfigError ");
  CHECK(symbols(index, "configError") == "src/b.py:4:type:ParseConfigError ");
  CHECK(symbols(index, "conf::ParseConfigError", 1) == "src/b.py:4:type:ParseConfigError ");
  CHECK(symbols(index, "LIMIT") == "src/a.js:3:value:LIMIT ");
  CHECK(symbols(index, "parse_config", 1) == "src/b.py:1:function:parse_config ");
  for (const char* name : {"", "_", "nowhere", "::", "\xFF"}) CHECK(symbols(index, name).empty());
  CHECK(index.stats().symbol_count == 5);
}

TEST_CASE("a query can be by words only, or by meaning only, and in a part of the files") {
  const Index index = small_tree();
  const auto found = [&](std::string_view text, const QueryOptions& options) {
    std::string out;
    for (const Hit& hit : index.query(text, options)) out += hit.path + " ";
    return out;
  };
  CHECK(found("read settings", {.mode = Mode::lexical}).empty());
  CHECK_FALSE(found("read settings", {.mode = Mode::semantic}).empty());
  CHECK(found("read settings", {.mode = Mode::semantic}).find("doc.md") == std::string::npos);
  CHECK(found("parse config", {.mode = Mode::lexical}).find("doc.md") != std::string::npos);
  CHECK(found("parse config", {.paths = {"tests/"}}) == "tests/b_test.py ");
  CHECK(found("parse config", {.languages = {"javascript"}}) == "src/a.js ");
  CHECK(found("ParseConfigError", {.paths = {"!src/b.py"}}).find("src/b.py") == std::string::npos);
  CHECK(found("parse config", {.paths = {"nowhere/"}}).empty());
  CHECK_THROWS_AS(index.query("a", {.languages = {"klingon"}}), Error);
}

}  // namespace cellar::search
