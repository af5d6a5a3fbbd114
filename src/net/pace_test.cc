#include "net/pace.h"

#include <doctest/doctest.h>

namespace cellar::net {

using std::chrono::milliseconds;

TEST_CASE("a burst goes through at once, what follows is spread, and a pause makes room again") {
  Pace pace(100, 3);
  const Pace::Time start{std::chrono::hours(1)};
  for (int i = 0; i < 3; ++i) CHECK(pace.next(start) == milliseconds(0));
  CHECK(pace.next(start) == milliseconds(10));
  CHECK(pace.next(start) == milliseconds(20));
  CHECK(pace.next(start + milliseconds(20)) == milliseconds(10));
  const Pace::Time later = start + milliseconds(1000);
  for (int i = 0; i < 3; ++i) CHECK(pace.next(later) == milliseconds(0));
  CHECK(pace.next(later) == milliseconds(10));
}

}  // namespace cellar::net
