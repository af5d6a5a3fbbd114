#include "base/clock.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("a time is written as ISO 8601 in UTC with milliseconds, and comes back") {
  CHECK(to_iso8601(from_unix_ms(1700000000123)) == "2023-11-14T22:13:20.123Z");
  CHECK(to_unix_ms(from_unix_ms(1700000000123)) == 1700000000123);
}

}  // namespace cellar
