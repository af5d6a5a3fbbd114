#include "base/hmac.h"

#include <doctest/doctest.h>

#include "base/text.h"

TEST_CASE("an authentication code is that of RFC 4231") {
  CHECK(cellar::to_hex(cellar::hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(cellar::equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(cellar::equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(cellar::equal_in_constant_time("abc", "ab"));
}
