#include "json/reader.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"

namespace cellar::json {

TEST_CASE("a wrong field is named with what it must be, a null one is absent") {
  const Value body = parse(R"({"n": 7, "s": "x", "none": null, "list": ["a", 1], "f": 7.5,
                               "w": 7.0, "big": 1e300, "env": {"A": "b"}})");
  const Reader reader(body, "the body");
  CHECK(reader.optional_int("n", 1, 7) == 7);
  CHECK(reader.optional_int("w", 1, 7) == 7);
  CHECK(reader.required_int("n", 1, 7) == 7);
  CHECK_FALSE(reader.optional_string("none").has_value());
  CHECK_FALSE(reader.optional_object("none").has_value());
  CHECK_FALSE(reader.optional_int("none", 1, 2).has_value());
  CHECK(reader.optional_string_map("env")->at("A") == "b");
  CHECK(reader.required_value("s") == Value("x"));
  CHECK_THROWS_WITH_AS(reader.optional_int("n", 1, 6), "\"n\" must be a whole number from 1 to 6",
                       Error);
  CHECK_THROWS_WITH_AS(reader.required_string("gone"),
                       "\"gone\" must be a string, and it is missing", Error);
  CHECK_THROWS_AS(reader.required_bool("gone"), Error);
  CHECK_THROWS_AS(reader.required_int("none", 0, 1), Error);
  CHECK_THROWS_AS(reader.required_value("none"), Error);
  CHECK_THROWS_AS(reader.optional_int("f", 1, 9), Error);
  CHECK_THROWS_AS(reader.optional_int("big", 1, INT64_MAX), Error);
  CHECK_THROWS_AS(reader.optional_strings("list"), Error);
  CHECK_THROWS_AS(reader.optional_strings("list", 1), Error);
  CHECK_THROWS_AS(reader.optional_string_map("s"), Error);
  CHECK_THROWS_AS(reader.optional_string_map("env", 0), Error);
  CHECK_THROWS_AS(reader.optional_object("s"), Error);
  CHECK_THROWS_AS(reader.optional_bool("s"), Error);
  CHECK_THROWS_AS(Reader(parse("[]"), "the body"), Error);
}

TEST_CASE("fields of an inner object are named with the outer one") {
  const Value body = parse(R"({"limits": {"open_files": "x"}})");
  const Reader reader(body, "the body");
  const auto limits = reader.optional_object("limits");
  REQUIRE(limits.has_value());
  CHECK_THROWS_WITH_AS(limits->optional_int("open_files", 3, 9),
                       "\"limits.open_files\" must be a whole number from 3 to 9", Error);
}

TEST_CASE("a field that nobody asked for is refused by name") {
  const Value body = parse(R"({"a": 1, "b": null})");
  const Reader reader(body, "the body");
  reader.optional_int("a", 0, 1);
  CHECK_THROWS_WITH_AS(reader.refuse_unknown(), "the body has the unknown field \"b\"", Error);
  reader.optional_value("b");
  CHECK_NOTHROW(reader.refuse_unknown());
}

TEST_CASE("a field is taken as JSON text, or what stands for none") {
  const Value body = parse(R"({"a": [1, "x"], "b": null})");
  const Reader reader(body, "the body");
  CHECK(reader.optional_json("a", "{}") == R"([1,"x"])");
  CHECK(reader.optional_json("b", "{}") == "{}");
  CHECK(reader.optional_json("c", "null") == "null");
  CHECK_NOTHROW(reader.refuse_unknown());
}

}  // namespace cellar::json
