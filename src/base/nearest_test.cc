#include "base/nearest.h"

#include <doctest/doctest.h>

namespace cellar {

TEST_CASE("the nearest name is the one that differs by the fewest letters") {
  const std::vector<std::string> names = {"create", "ls", "ps", "rm"};
  CHECK(nearest_name("lst", names, 2) == "ls");
  CHECK(nearest_name("craete", names, 2) == "create");
  CHECK(nearest_name("s", names, 2) == "ls");  // the first of several
  CHECK(nearest_name("create", names, 0) == "create");
  CHECK(nearest_name("hibernate", names, 2).empty());
  CHECK(nearest_name("x", {}, 9).empty());
  CHECK(nearest_name(std::string(100'000'000, 'x'), names, 2).empty());  // at once
}

TEST_CASE("an unknown name is answered with the near one, and with all") {
  const std::vector<std::string> names = {"limit", "cursor"};
  CHECK(describe_unknown("limt", names).shown == "limt");
  CHECK(describe_unknown("limt", names).remedy == "\"limit\" is near; known here: limit, cursor");
  CHECK(describe_unknown("at", {"to"}).remedy == "known here: to");  // Nothing in common.
  CHECK(describe_unknown("at", {}).remedy == "leave it out: none is known here");
  CHECK(describe_unknown(std::string(65, 'x'), names).shown == std::string(64, 'x') + "…");
  CHECK(describe_unknown(std::string(63, 'x') + "é", names).shown == std::string(63, 'x') + "…");
  CHECK(describe_unknown("a\xff", names).shown == "a…");
}

}  // namespace cellar
