#include "api/heartbeat.h"

#include <doctest/doctest.h>

namespace cellar::api {

TEST_CASE("a stream that is woken again and again with nothing to tell is silent no longer") {
  using std::chrono::milliseconds;
  const Silence::TimePoint begin;
  Silence silence(begin);
  CHECK(silence.left(begin) == kHeartbeat);
  CHECK(silence.left(begin + milliseconds(5'000)) == milliseconds(10'000));
  CHECK(silence.left(begin + milliseconds(14'999)) == milliseconds(1));
  CHECK(silence.left(begin + kHeartbeat) == milliseconds(0));
  CHECK(silence.left(begin + 2 * kHeartbeat) == milliseconds(0));
  silence.broken(begin + 2 * kHeartbeat);
  CHECK(silence.left(begin + 2 * kHeartbeat) == kHeartbeat);
}

}  // namespace cellar::api
