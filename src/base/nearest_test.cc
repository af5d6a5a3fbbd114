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
}

}  // namespace cellar
