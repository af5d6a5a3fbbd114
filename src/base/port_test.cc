#include "base/port.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("a port is a number from 1 to 65535, in digits") {
  CHECK(parse_port("1") == 1);
  CHECK(parse_port("443") == 443);
  CHECK(parse_port("65535") == 65535);
  for (const char* bad :
       {"", "0", "080", "65536", "99999", "123456", "+1", "-1", " 1", "1 ", "1a"}) {
    CHECK_FALSE(parse_port(bad));
  }
}

}  // namespace cellar
