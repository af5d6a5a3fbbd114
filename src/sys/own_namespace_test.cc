#include "sys/own_namespace.h"

#include <doctest/doctest.h>

using namespace cellar::sys;

TEST_CASE("a user's ids are its first range that is large enough") {
  const char* text =
      "ann:100000:65536\n"
      "bob:1:65535\n"
      "bob:300000:65536\n"
      "bob:400000:1000000\n"
      "1007:500000:70000\n";
  CHECK(find_own_ids(text, "ann", "1001") == 100000);
  CHECK(find_own_ids(text, "bob", "1002") == 300000);
  CHECK(find_own_ids(text, "eve", "1007") == 500000);
  CHECK_FALSE(find_own_ids(text, "eve", "1003"));
}

TEST_CASE("lines that are no range give none") {
  for (const char* text : {"", "ann", "ann:1:", "ann::65536", "ann:x:65536", "ann:-5:65536",
                           "ann:0:65536", "ann:4294967000:65536", "ann:1:65536:2", "an:1:65536"}) {
    CAPTURE(text);
    CHECK_FALSE(find_own_ids(text, "ann", "1001"));
  }
}

TEST_CASE("a map of ids says who somebody is outside") {
  const char* map =
      "         0       1000          1\n"
      "         1     100000      65536\n";
  CHECK(find_mapped(map, 0) == 1000);
  CHECK(find_mapped(map, 1) == 100000);
  CHECK(find_mapped(map, 65536) == 165535);
  CHECK_FALSE(find_mapped(map, 65537));
  CHECK_FALSE(find_mapped("", 1));
  CHECK_FALSE(find_mapped("0 1000\n", 0));
}
