#include "base/percent.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("what means something in a path or a query is percent-encoded") {
  CHECK(encode_segment("aZ09-._~") == "aZ09-._~");
  CHECK(encode_segment("a b/c?d=%é") == "a%20b%2Fc%3Fd%3D%25%C3%A9");
  CHECK(encode_path("a b/c?d") == "a%20b/c%3Fd");
}

}  // namespace cellar
