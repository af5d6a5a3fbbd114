#include "cell/identity.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::cell {

TEST_CASE("a plain customer id stays readable in the cell's id") {
  CHECK(cell_id_of("dev-abc", "user-123") == "dev-abc--user-123");
}

TEST_CASE("customers whose ids look alike after cleaning get different cells") {
  CHECK(cell_id_of("dev-abc", "a@b.c") != cell_id_of("dev-abc", "a-b-c"));
  CHECK(cell_id_of("dev-abc", "User") != cell_id_of("dev-abc", "user"));
  const std::string same_start(70, 'x');
  CHECK(cell_id_of("dev-abc", same_start + "1") != cell_id_of("dev-abc", same_start + "2"));
  for (const std::string customer : {"a@b.c", "-", "ünïcode", "..", "x y"}) {
    CHECK(is_cell_id(cell_id_of("dev-abc", customer)));
  }
  CHECK(is_cell_id(cell_id_of("dev-abc", same_start)));
}

TEST_CASE("what cannot be a folder's name is no cell id, what cannot be shown no customer id") {
  for (const char* bad : {"", "..", "a/b", "-a", "A"}) CHECK_FALSE(is_cell_id(bad));
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("a\nb"),
                                 std::string("\xff"), std::string(129, 'x')}) {
    CHECK_THROWS_AS(check_customer_id(bad), Error);
  }
}

}  // namespace cellar::cell
