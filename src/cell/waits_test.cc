#include "cell/waits.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

const WallTime kNow = from_unix_ms(1'000'000);

bool takes(const std::string& wait, const std::string& type, const std::string& payload) {
  const EventFilter filter = wait_filter(absolute_wait("wait", wait, kNow));
  return filter.type == type && filter.takes(json::parse(payload));
}

}  // namespace

TEST_CASE("a time to wait becomes a point in time") {
  CHECK(wait_until(absolute_wait("sleep", R"({"ms":500})", kNow)) == from_unix_ms(1'000'500));
  CHECK(wait_until(absolute_wait("sleep", R"({"ms":0.9e3})", kNow)) == from_unix_ms(1'000'900));
  CHECK(wait_until(absolute_wait("sleep", R"({"until":77})", kNow)) == from_unix_ms(77));
  CHECK(wait_until(absolute_wait("sleep", R"({"ms":-5})", kNow)) == kNow);
  CHECK(wait_until(absolute_wait("wait", R"({"type":"t","timeout":9})", kNow)) ==
        from_unix_ms(1'000'009));
  CHECK_FALSE(wait_until(absolute_wait("approval", R"({"prompt":"p"})", kNow)).has_value());
  // What no clock can hold is cut, not wrapped around.
  CHECK(*wait_until(absolute_wait("sleep", R"({"ms":9223372036854775807})", kNow)) > kNow);
  CHECK(*wait_until(absolute_wait("sleep", R"({"until":1e300})", kNow)) > kNow);
  CHECK_THROWS_AS(absolute_wait("sleep", "{", kNow), Error);
}

TEST_CASE("a wait takes events of its type whose payload has what it asks for") {
  CHECK(takes(R"({"type":"merged"})", "merged", "null"));
  CHECK_FALSE(takes(R"({"type":"merged"})", "closed", "null"));
  const std::string matching = R"({"type":"merged","match":{"pr":7,"by":{"id":1}}})";
  CHECK(takes(matching, "merged", R"({"by":{"id":1},"pr":7.0,"more":true})"));
  CHECK_FALSE(takes(matching, "merged", R"({"by":{"id":2},"pr":7})"));
  CHECK_FALSE(takes(matching, "merged", R"({"pr":7})"));
  CHECK_FALSE(takes(matching, "merged", "[7]"));
}

TEST_CASE("a wait says which events it is for by an object, or not at all") {
  CHECK(is_valid_match(R"({"type":"t"})"));
  CHECK(is_valid_match(R"({"type":"t","match":{}})"));
  for (const std::string match : {"null", "7", "[7]", "\"x\""}) {
    CHECK_FALSE(is_valid_match(R"({"type":"t","match":)" + match + "}"));
    // One that is recorded already takes what it took.
    CHECK(takes(R"({"type":"t","match":)" + match + "}", "t", R"({"a":1})"));
  }
}

TEST_CASE("what a person is asked is kept, nothing else is") {
  CHECK(absolute_wait("approval", R"({"prompt":"Deploy?","data":[1],"timeout":1,"x":2})", kNow) ==
        R"({"prompt":"Deploy?","data":[1],"until":1000001})");
}

}  // namespace cellar::cell
