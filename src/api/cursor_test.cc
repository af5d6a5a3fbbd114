#include "api/cursor.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::api {
namespace {

Cursor at(std::int64_t ms, std::string id) { return Cursor::of(from_unix_ms(ms), std::move(id)); }

}  // namespace

TEST_CASE("a cursor is what it was after it was sent around") {
  const Cursor cursor = at(1'795'000'000'123, "dev-a.b--c");
  CHECK(Cursor::parse(cursor.text()) == cursor);
  CHECK_FALSE(Cursor::parse("").has_value());
  for (const char* bad : {"dev--a", "12", ".dev--a", "1x.dev--a", " 1.a"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(Cursor::parse(bad), doctest::Contains("next_cursor"), Error);
  }
}

TEST_CASE("cursors are sorted by time, and within a millisecond by id") {
  CHECK(at(9, "b") < at(10, "a"));
  CHECK(at(10, "a") < at(10, "b"));
}

}  // namespace cellar::api
