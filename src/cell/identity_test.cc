#include "cell/identity.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::cell {

namespace {

std::string first_id(const std::string& customer) {
  return cell_ids_of("dev-abc", customer).front();
}

}  // namespace

TEST_CASE("a customer id stays readable in the cell's id") {
  CHECK(first_id("user-123") == "dev-abc--user-123");
  CHECK(first_id("a--b") == "dev-abc--a--b");
  CHECK(first_id("A B") == "dev-abc--a-b-fea4c5ce");
  CHECK(first_id("--Ada@Example.com ").starts_with("dev-abc--ada-example-com-"));
  CHECK(first_id("-") == "dev-abc--3973e022");
}

TEST_CASE("customers whose ids look alike after cleaning get different cells") {
  CHECK(first_id("a@b.c") != first_id("a-b-c"));
  CHECK(first_id("User") != first_id("user"));
  const std::string same_start(70, 'x');
  CHECK(first_id(same_start + "1") != first_id(same_start + "2"));
  for (const std::string& customer :
       {std::string("a@b.c"), std::string("-"), std::string("é"), std::string(".."),
        std::string("x y"), same_start, std::string(53, 'x') + "---" + same_start}) {
    for (const std::string& id : cell_ids_of("dev-abc", customer)) CHECK(is_cell_id(id));
  }
}

TEST_CASE("an id that another customer has taken by its name is not the only one") {
  CHECK(first_id("a-b-fea4c5ce") == first_id("A B"));
  const auto ids = cell_ids_of("dev-abc", "A B");
  REQUIRE(ids.size() == 2);
  CHECK(ids[1] == "dev-abc--a-b-fea4c5ce720c1d6a");
  CHECK(cell_ids_of("dev-abc", "a-b-fea4c5ce").size() == 3);
}

TEST_CASE("the id of an earlier version is known") {
  CHECK(old_cell_id_of("dev-abc", "A B") == "dev-abc------fea4c5ce");
  CHECK(old_cell_id_of("dev-abc", "a@b.c") == first_id("a@b.c"));
}

TEST_CASE("what cannot be a folder's name is no cell id, what cannot be shown no customer id") {
  for (const char* bad : {"", "..", "a/b", "-a", "A"}) CHECK_FALSE(is_cell_id(bad));
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("a\nb"),
                                 std::string("\xff"), std::string(129, 'x')}) {
    CHECK_THROWS_AS(check_customer_id(bad), Error);
  }
}

}  // namespace cellar::cell
