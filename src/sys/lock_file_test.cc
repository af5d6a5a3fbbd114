#include "sys/lock_file.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a lock has one holder at a time") {
  testing::TempDir dir;
  auto first = try_lock_file(dir.file("LOCK"));
  REQUIRE(first.has_value());
  CHECK_FALSE(try_lock_file(dir.file("LOCK")).has_value());
  first.reset();
  CHECK(try_lock_file(dir.file("LOCK")).has_value());
  CHECK_THROWS_AS(try_lock_file(dir.file("none/LOCK")), Error);
}

}  // namespace cellar::sys
