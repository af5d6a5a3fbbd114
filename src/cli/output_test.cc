#include "cli/output.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::cli {

TEST_CASE("a table is aligned for people and tab-separated for programs") {
  const std::vector<Row> rows = {{"gr\xc3\xbcn", "1"}, {"a", "22"}};
  CHECK(format_table({"NAME", "N"}, rows, Look::terminal) == "NAME  N\ngr\xc3\xbcn  1\na     22\n");
  CHECK(format_table({"NAME", "N"}, rows, Look::plain) == "gr\xc3\xbcn\t1\na\t22\n");
  CHECK(format_table({"NAME"}, {}, Look::plain).empty());
}

TEST_CASE("an object is shown a member a line") {
  const json::Value cell = json::parse(R"({"cell_id":"c","n":1.5,"allow":["a"],"none":null})");
  CHECK(format_record(cell, Look::plain) == "cell_id\tc\nn\t1.5\nallow\t[\"a\"]\nnone\tnull\n");
  CHECK(format_record(cell, Look::terminal) ==
        "cell_id  c\nn        1.5\nallow    [\"a\"]\nnone     null\n");
}

TEST_CASE("what a cell wrote cannot steer the terminal") {
  CHECK(printable("a\x1b[31mb") == "a\xef\xbf\xbd[31mb");
  CHECK(printable("\x9b") == "\x9b");  // No UTF-8, so no control character to a UTF-8 terminal.
  CHECK(printable("\xc2\x9b!") == "\xef\xbf\xbd!");
  CHECK(printable("\xc2\xa0") == "\xc2\xa0");
  CHECK(printable("a\nb\tc") ==
        "a\xe2\x8f\x8e"
        "b\xef\xbf\xbd"
        "c");
  CHECK(printable("a\nb\tc\r", Lines::keep) == "a\nb\tc\xef\xbf\xbd");
}

}  // namespace cellar::cli
