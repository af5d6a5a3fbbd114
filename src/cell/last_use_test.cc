#include "cell/last_use.h"

#include <doctest/doctest.h>

namespace cellar::cell {

TEST_CASE("when a cell was used last outlives the daemon, to the millisecond") {
  const SteadyTime used = steady_now() - std::chrono::seconds(3);
  const auto read = decode_last_use(encode_last_use(used));
  REQUIRE(read.has_value());
  CHECK(used - *read < std::chrono::milliseconds(1));
  CHECK(*read <= used);
}

TEST_CASE("a record of another start of the machine, of the future or cut off says no such time") {
  CHECK_FALSE(decode_last_use(std::nullopt).has_value());
  CHECK_FALSE(decode_last_use("").has_value());
  const std::string whole = encode_last_use(steady_now());
  CHECK_FALSE(decode_last_use(whole.substr(0, whole.size() / 2)).has_value());
  CHECK_FALSE(decode_last_use(R"({"quiet_since_boot_ms": 5, "boot_id": "another"})").has_value());
  const auto later = decode_last_use(encode_last_use(steady_now() + std::chrono::hours(1)));
  REQUIRE(later.has_value());
  CHECK(*later <= steady_now());
}

}  // namespace cellar::cell
