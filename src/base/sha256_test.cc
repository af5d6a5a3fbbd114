#include "base/sha256.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("SHA-256 agrees with the standard's test vector") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace cellar
