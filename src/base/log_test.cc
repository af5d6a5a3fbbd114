#include "base/log.h"

#include <doctest/doctest.h>

namespace cellar::log {
namespace {

std::string behind_time(std::string line, std::size_t at) { return line.substr(at); }

}  // namespace

TEST_CASE("a line of text has no control byte but its end") {
  const std::string line = line_of(Format::text, Level::warning, "a\x1b[2Jb\n", {});
  CHECK(behind_time(line, line.find(' ')) == " warning a [2Jb \n");
}

TEST_CASE("a line of JSON has its fields as members, and whatever is in them") {
  const Field fields[] = {cell("c\"1"), run("r\\"), cell("other")};
  const std::string line = line_of(Format::json, Level::error, "x\n\x7f\xff ü", fields);
  CHECK(behind_time(line, line.find(",")) ==
        ",\"level\":\"error\",\"message\":\"x\\u000a\\u007f\\ufffd ü\",\"cell\":\"c\\\"1\","
        "\"run\":\"r\\\\\"}\n");
}

TEST_CASE("a field is in the message as any other argument") {
  CHECK(detail::plain(cell("c1")) == "c1");
  const detail::Fields<Field, int> fields(cell("c1"), 7);
  CHECK(fields.count == 1);
}

}  // namespace cellar::log
