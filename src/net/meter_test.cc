#include "net/meter.h"

#include <doctest/doctest.h>

namespace cellar::net {

using std::chrono::milliseconds;

TEST_CASE("a meter counts both ways, and without limits nobody waits") {
  Meter meter;
  const Meter::Time now(std::chrono::hours(1));
  CHECK(meter.count(Way::up, 1'000'000'000, now).count() == 0);
  CHECK(meter.count(Way::down, 7, now).count() == 0);
  CHECK(meter.usage().bytes_up == 1'000'000'000);
  CHECK(meter.usage().bytes_down == 7);
  CHECK_FALSE(meter.is_spent());
  CHECK(meter.piece_bytes(65536) == 65536);
}

TEST_CASE("a rate lets a quarter of a second go at once, and then makes both ways wait") {
  Meter meter({.bytes_per_s = 100'000});
  const Meter::Time now(std::chrono::hours(1));
  CHECK(meter.count(Way::up, 25'000, now).count() == 0);
  CHECK(meter.count(Way::down, 50'000, now) == milliseconds(500));
  CHECK(meter.count(Way::up, 0, now + milliseconds(500)).count() == 0);
  CHECK(meter.piece_bytes(65536) == 6250);
  CHECK(Meter({.bytes_per_s = Limits::kBytesPerSecondMin}).piece_bytes(65536) == 1024);
  meter.set_limits({});
  CHECK(meter.count(Way::up, 1'000'000, now).count() == 0);
}

TEST_CASE("a meter is spent once all bytes that it may count have moved, and no sooner") {
  Meter meter({.bytes = 10}, {.bytes_up = 4});
  meter.count(Way::down, 5, Meter::Time());
  CHECK_FALSE(meter.is_spent());
  meter.count(Way::up, 1, Meter::Time());
  CHECK(meter.is_spent());
  meter.set_limits({.bytes = 11});
  CHECK_FALSE(meter.is_spent());
}

}  // namespace cellar::net
