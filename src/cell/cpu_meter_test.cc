#include "cell/cpu_meter.h"

#include <doctest/doctest.h>

namespace cellar::cell {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const CpuMeter::Time kBegin{seconds(1000)};

}  // namespace

TEST_CASE("the share of a processor is what was used over the time it took") {
  CpuMeter meter;
  CHECK(meter.share() == 0);
  meter.add(kBegin, seconds(50));
  CHECK(meter.share() == 0);
  meter.add(kBegin + seconds(2), seconds(51));
  CHECK(meter.share() == doctest::Approx(0.5));
}

TEST_CASE("what was used before the window does not count") {
  CpuMeter meter;
  meter.add(kBegin, seconds(0));
  meter.add(kBegin + seconds(1), seconds(1));  // All of a processor for one second, then nothing.
  for (int second = 2; second <= 10; ++second) meter.add(kBegin + seconds(second), seconds(1));
  CHECK(meter.share() == doctest::Approx(0.1));
  meter.add(kBegin + seconds(11), seconds(1));
  CHECK(meter.share() == 0);
}

TEST_CASE("samples that come late still tell of the time since the last one") {
  CpuMeter meter;
  meter.add(kBegin, seconds(0));
  meter.add(kBegin + seconds(100), seconds(100));
  CHECK(meter.share() == doctest::Approx(1));
}

TEST_CASE("processes that are others now begin anew") {
  CpuMeter meter;
  meter.add(kBegin, seconds(500));
  meter.add(kBegin + seconds(1), milliseconds(10));
  CHECK(meter.share() == 0);
  meter.add(kBegin + seconds(2), milliseconds(1010));
  CHECK(meter.share() == doctest::Approx(1));
}

}  // namespace cellar::cell
