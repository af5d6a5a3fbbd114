#include "llm/retry.h"

#include <doctest/doctest.h>

namespace cellar::llm {

using std::chrono::milliseconds;

TEST_CASE("Retry-After is seconds or a date, within ten minutes") {
  const WallTime now = *parse_rfc3339("2026-11-28T12:00:00Z");
  CHECK(retry_after("7", now) == milliseconds(7000));
  CHECK(retry_after(" 0 ", now) == milliseconds(0));
  CHECK(retry_after("99999999999", now) == kRetryAfterMax);
  CHECK(retry_after("Sat, 28 Nov 2026 12:00:30 GMT", now) == milliseconds(30'000));
  CHECK(retry_after("Sat, 28 Nov 2026 11:00:00 GMT", now) == milliseconds(0));
  CHECK(retry_after("Sun, 29 Nov 2026 12:00:00 GMT", now) == kRetryAfterMax);
  for (const char* text : {"", "-1", "soon", "1.5", "Sat, 28 Now 2026 12:00:30 GMT",
                           "Sat, 28 Nov 2026 12:00:30 CET"}) {
    CAPTURE(text);
    CHECK_FALSE(retry_after(text, now));
  }
}

TEST_CASE("pauses double up to a minute, and half of each is kept at least") {
  CHECK(pause_after(1, 0) == milliseconds(1000));
  CHECK(pause_after(1, 500) == milliseconds(500));
  CHECK(pause_after(1, 501) == milliseconds(1000));
  CHECK(pause_after(4, 0) == milliseconds(8000));
  CHECK(pause_after(7, 0) == kPauseMax);
  CHECK(pause_after(1000, 30'000) == kPauseMax / 2);
}

TEST_CASE("what may pass is tried again, what the request is to blame for is not") {
  for (const int status : {408, 429, 500, 503, 529}) CHECK(is_passing(status));
  for (const int status : {301, 400, 401, 404, 413, 422}) CHECK_FALSE(is_passing(status));
}

}  // namespace cellar::llm
