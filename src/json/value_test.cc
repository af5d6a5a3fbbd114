#include "json/value.h"

#include <doctest/doctest.h>

namespace cellar::json {
namespace {

Object numbered(int count) {
  Object members;
  for (int i = 0; i < count; ++i) members.set("k" + std::to_string(i), i);
  return members;
}

}  // namespace

TEST_CASE("a value knows what it is, and takes no pointer for a bool") {
  CHECK(Value().is_null());
  CHECK(Value(nullptr).is_null());
  CHECK(Value("x").is_string());
  CHECK(Value(true).is_bool());
  CHECK(Value(7u).as_int() == 7);
  CHECK_FALSE(Value(UINT64_MAX).is_int());
  CHECK(Value(UINT64_MAX).is_number());
  static_assert(!std::is_constructible_v<Value, int*>);
  static_assert(sizeof(Value) <= 40);
  CHECK(Value(array({array({1})})).as_array().size() == 1);
  CHECK(array({array({1})}).as_array().front().is_array());
}

TEST_CASE("values are equal by what they mean") {
  CHECK(Value(1) == Value(1.0));
  CHECK(Value(UINT64_MAX) != Value(-1));
  CHECK(Value(0x1p64) != Value(UINT64_MAX));
  CHECK(Value(INT64_MAX) != Value(0x1p63));
  CHECK(Value(0x1p63) == Value(std::uint64_t{1} << 63));
  CHECK(Value(1) != Value(true));
  CHECK(Value("1") != Value(1));
  CHECK(Value() != Value(false));
  CHECK(object({{"a", 1}, {"b", 2}}) == object({{"b", 2}, {"a", 1}}));
  CHECK(object({{"a", 1}}) != object({{"a", 1}, {"b", nullptr}}));
  CHECK(array({1, 2}) != array({2, 1}));
}

TEST_CASE("an object finds, replaces and forgets its members at every size") {
  for (const int count : {0, 1, 31, 32, 33, 64, 100, 1000}) {
    CAPTURE(count);
    Object members = numbered(count);
    CHECK(members.size() == static_cast<std::size_t>(count));
    CHECK(members.find("none") == nullptr);
    members["added"] = "x";
    members.set("added", "y");
    CHECK(members.find("added")->as_string() == "y");
    const Object copy = members;
    CHECK(copy == members);
    CHECK(members.erase("added"));
    CHECK_FALSE(members.erase("added"));
    CHECK(members == numbered(count));
    CHECK(copy.size() == members.size() + 1);
    int expected = 0;
    for (const auto& [key, value] : members) {
      CHECK(value == Value(expected++));
      CHECK(members.find(key) == &value);
    }
    const Object moved = std::move(members);
    CHECK(moved.size() == static_cast<std::size_t>(count));
    CHECK(members.empty());
    CHECK(members.find("k0") == nullptr);
    members["again"] = 1;
    CHECK(members.size() == 1);
  }
}

TEST_CASE("an object of very many members is filled and searched without getting slow") {
  const Object members = numbered(300'000);
  CHECK(members.find("k299999")->as_int() == 299'999);
  CHECK(members.find("k300000") == nullptr);
}

}  // namespace cellar::json
