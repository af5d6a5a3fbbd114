#include "base/clock.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("a time is written as ISO 8601 in UTC with milliseconds, and comes back") {
  CHECK(to_iso8601(from_unix_ms(1700000000123)) == "2023-11-14T22:13:20.123Z");
  CHECK(to_unix_ms(from_unix_ms(1700000000123)) == 1700000000123);
}

TEST_CASE("a time of RFC 3339 is read in any zone, and nothing else is taken for one") {
  const auto ms_of = [](std::string_view text) {
    const auto time = parse_rfc3339(text);
    return time ? to_unix_ms(*time) : -1;
  };
  CHECK(ms_of("2023-11-14T22:13:20.123Z") == 1700000000123);
  CHECK(ms_of("2023-11-14t23:13:20.1239999+01:00") == 1700000000123);
  CHECK(ms_of("2023-11-14 17:43:20-04:30") == 1700000000000);
  CHECK(ms_of("1970-01-01T00:00:00Z") == 0);
  CHECK(ms_of("2024-02-29T00:00:00.5Z") == 1709164800500);
  for (const char* text :
       {"", "2023", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13Z", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z", "2023-11-14T22:13:20+0100", "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20Zx", " 2023-11-14T22:13:20Z", "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01", "2262-01-01T00:00:00Z", "20x3-11-14T22:13:20Z",
        "1700000000"}) {
    CAPTURE(text);
    CHECK(ms_of(text) == -1);
  }
}

}  // namespace cellar
