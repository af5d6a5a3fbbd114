#include <doctest/doctest.h>

#include <string>

#include "search/index.h"

namespace cellar::search {
namespace {

// The paths of the hits, best first.
std::string found(const Index& index, std::string_view query, const QueryOptions& options = {}) {
  std::string out;
  for (const Hit& hit : index.query(query, options)) out.append(hit.path).append(" ");
  return out;
}

void put(Index& index, const std::string& path, const std::string& text) {
  CHECK(index.put({.path = path, .size_bytes = text.size()}, text) == Admission::indexed);
}

Index ranked_tree() {
  Index index;
  put(index, "net.py", "def fetch_url(url):\n    return urllib.request.urlopen(url).read()\n");
  put(index, "conf.py", "def parse_config(text):\n    return text\n");
  put(index, "calc.js", "function add(a, b) { return a + b; }\n");
  put(index, "session.py",
      "class UserSession:\n    def login(self, password):\n        check(password)\n");
  put(index, "clean.py", "shutil.rmtree(path)\nos.unlink(name)\n");
  return index;
}

}  // namespace

TEST_CASE("code is found by what it does, with no word of the query in it") {
  const Index index = ranked_tree();
  CHECK(found(index, "download a web page", {.limit = 1}) == "net.py ");
  CHECK(found(index, "authentication", {.limit = 1}) == "session.py ");
  CHECK(found(index, "sum of two numbers") == "calc.js ");
  CHECK(found(index, "remove a directory tree") == "clean.py ");
}

TEST_CASE("a query about something else finds nothing, and so does one without words") {
  const Index index = ranked_tree();
  for (const char* query : {"nowhere at all", "", " ", "42", "+-*/", "\xFF\xFE", "\xE6\x96\x87"}) {
    CAPTURE(std::string(query));
    CHECK(found(index, query).empty());
  }
  CHECK(found(index, std::string(1 << 20, 'q')).empty());
  CHECK(found(index, std::string(1 << 20, ' ') + "parse").empty());  // Beyond what counts.
  CHECK(found(Index(), "parse").empty());
}

TEST_CASE("a text that changed is found by its new meaning only, however often it changes") {
  Index index = ranked_tree();
  const std::string draw = "def draw_rectangle(canvas, x, y):\n    canvas.fill(x, y)\n";
  for (int change = 0; change < 1500; ++change) {  // Enough that what is dead is swept out.
    put(index, "net.py", draw + std::string(static_cast<std::size_t>(change % 3), '\n'));
  }
  CHECK(index.stats().dead_chunk_count < 1100);
  CHECK(found(index, "paint a shape", {.limit = 1}) == "net.py ");
  CHECK(found(index, "download a web page").empty());
  CHECK(found(index, "authentication", {.limit = 1}) == "session.py ");
  index.remove("net.py");
  CHECK(found(index, "paint a shape").empty());
}

TEST_CASE("prose is found by its words, a document that an agent adds by its meaning, too") {
  Index index = ranked_tree();
  const std::string text = "How users log in: the session checks the password.\n";
  put(index, "README.md", text);
  CHECK(found(index, "authentication", {.limit = 1}) == "session.py ");
  CHECK(found(index, "authentication").find("README.md") == std::string::npos);
  CHECK(found(index, "password").find("README.md") != std::string::npos);
  index.put_document("note", text);
  CHECK(found(index, "authentication").find("note") != std::string::npos);
}

TEST_CASE("a query that is a name finds its definition first, in the file of that name at best") {
  Index index;
  put(index, "src/use.ts", "import { ZodError } from './x';\nnew ZodError(); new ZodError();\n");
  put(index, "src/all.ts", "export class ZodError {\n}\n");
  put(index, "src/ZodError.ts", "export class ZodError {\n}\nexport class OtherThing {\n}\n");
  CHECK(found(index, "ZodError") == "src/ZodError.ts src/all.ts src/use.ts ");
  CHECK(found(index, "lib::ZodError", {.limit = 2}) == "src/ZodError.ts src/all.ts ");
  CHECK(index.query("ZodError")[1].symbol == "ZodError");
  CHECK(index.query("where OtherThing is made")[0].symbol == "OtherThing");
}

TEST_CASE("tests, old code, examples and files that only pass names on come last") {
  const std::string text = "def parse_header(line):\n    return line\n";
  for (const char* aside :
       {"tests/header.py", "src/header_test.py", "src/header_fixture.py", "compat/header.py",
        "examples/header.py", "docs/header.py", "legacy/header.py"}) {
    Index index;
    put(index, aside, text);
    put(index, "zlib/reader.py", text);
    CHECK(found(index, "parse header lines") == "zlib/reader.py " + std::string(aside) + " ");
  }
  Index index;
  put(index, "header/__init__.py", "from .reader import parse_header, parse_header_line\n");
  put(index, "zlib/header.py", text);
  CHECK(found(index, "parse header", {.limit = 1}) == "zlib/header.py ");
}

TEST_CASE("a file is named once, or as often as is asked for") {
  Index index;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "def parse_config_" + std::to_string(i) + "(a): pass\n\n";
  put(index, "conf.py", text);
  CHECK(found(index, "parse config") == "conf.py ");
  CHECK(found(index, "parse config", {.chunks_per_file = 2}) == "conf.py conf.py ");
  CHECK(index.query("parse config", {.limit = 3, .chunks_per_file = 100}).size() == 3);
  CHECK(index.query("parse config", {.limit = 0}).empty());
}

TEST_CASE("what is no UTF-8 in a file is marked in the answer") {
  Index index;
  put(index, "a.py", "parse_config \xFF\xC3\xA4 \xED\xA0\x80\n");
  const auto hits = index.query("parse config");
  REQUIRE(hits.size() == 1);
  CHECK(hits[0].content ==
        "parse_config \xEF\xBF\xBD\xC3\xA4 \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n");
}

}  // namespace cellar::search
