#include "json/json.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/reader.h"

namespace cellar::json {

TEST_CASE("what was read is written the same, members in their order") {
  for (
      const std::string text :
      {R"({"b":1,"a":[true,null,"x\n\"\\"],"n":1.5,"big":18446744073709551615,"min":-9223372036854775808})",
       "[]", "{}", "\"\"", "0.1", "1e+300"}) {
    CHECK(dump(parse(text)) == text);
  }
}

TEST_CASE("what is not JSON is refused with its place") {
  for (const std::string text :
       {"", "{", "[1,]", "{\"a\":1}x", "nul", "\"\\ud800\"", "01", "'x'"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse(text), Error);
  }
  CHECK_THROWS_AS(parse(std::string(65, '[') + std::string(65, ']')), Error);
  CHECK_NOTHROW(parse(std::string(60, '[') + std::string(60, ']')));
}

TEST_CASE("of a key that comes twice the last one counts") {
  CHECK(dump(parse(R"({"a":1,"b":2,"a":3})")) == R"({"a":3,"b":2})");
}

TEST_CASE("text is always written as UTF-8, and numbers as JSON has them") {
  CHECK(dump("a\xff"
             "b\xc3\xbc") ==
        "\"a\xef\xbf\xbd"
        "b\xc3\xbc\"");
  CHECK(dump(std::string("\x01")) == "\"\\u0001\"");
  CHECK(dump(1.0 / 0.0 * 0.0) == "null");
  CHECK(dump(1.5) == "1.5");
}

TEST_CASE("an object of many members is searched and filled without getting slow") {
  Object members;
  for (int i = 0; i < 100'000; ++i) members.set(std::to_string(i), i);
  CHECK(members.find("99999")->as_int() == 99999);
  CHECK(members.erase("5"));
  CHECK(members.find("5") == nullptr);
  CHECK(members.find("6")->as_int() == 6);
}

TEST_CASE("a wrong field is named with what it must be, a null one is absent") {
  const Value body = parse(R"({"n": 7, "s": "x", "none": null, "list": ["a", 1]})");
  const Reader reader(body, "the body");
  CHECK(reader.optional_int("n", 1, 7) == 7);
  CHECK_FALSE(reader.optional_string("none").has_value());
  CHECK_THROWS_WITH_AS(reader.optional_int("n", 1, 6), "\"n\" must be a whole number from 1 to 6",
                       Error);
  CHECK_THROWS_WITH_AS(reader.required_string("gone"),
                       "\"gone\" must be a string, and it is missing", Error);
  CHECK_THROWS_AS(reader.optional_strings("list", 5), Error);
  CHECK_THROWS_AS(reader.optional_bool("s"), Error);
  CHECK_THROWS_AS(Reader(parse("[]"), "the body"), Error);
}

}  // namespace cellar::json
