#include "store/entities.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"
#include "store/cell_store.h"
#include "testing/temp_dir.h"

namespace cellar::store {
namespace {

struct EntitiesFixture {
  testing::TempDir dir;
  CellStore store{dir.file("cell.sqlite")};
  Entities& entities = store.entities;

  void create(std::string_view entity, std::string_view json_text) {
    entities.create(entity, json::parse(json_text));
  }
  // The names of what a query finds, "a b c".
  std::string names(const Query& query) {
    std::string text;
    for (const json::Value& record : entities.query("user", query)) {
      text += (text.empty() ? "" : " ") + record.find("name")->as_string();
    }
    return text;
  }
};

Query where(std::string_view json_text) {
  Query query;
  query.where = json::parse(json_text).as_object();
  return query;
}

}  // namespace

TEST_CASE("a record gets an id and a time, and is found by the id") {
  EntitiesFixture fixture;
  const json::Value data = json::parse(R"({"name":"a","id":"mine","createdAt":"then"})");
  const json::Value record = fixture.entities.create("user", data);
  const std::string id = record.find("id")->as_string();
  CHECK(id.size() == 24);
  CHECK(record.find("createdAt")->as_string().back() == 'Z');
  CHECK(record.find("name")->as_string() == "a");
  CHECK(fixture.entities.get("user", id) == record);
  CHECK_FALSE(fixture.entities.get("other", id).has_value());
  CHECK_FALSE(fixture.entities.get("user", "mine").has_value());
  CellStore again(fixture.dir.file("cell.sqlite"));
  CHECK(again.entities.get("user", id) == record);
}

TEST_CASE("an update merges fields, and keeps id and time") {
  EntitiesFixture fixture;
  const json::Value record =
      fixture.entities.create("user", json::parse(R"({"name":"a","tags":[1],"x":1})"));
  const std::string id = record.find("id")->as_string();
  const auto updated = fixture.entities.update(
      "user", id, json::parse(R"({"x":null,"y":{"z":2},"id":"i","createdAt":0})"));
  REQUIRE(updated.has_value());
  CHECK(updated->find("name")->as_string() == "a");
  CHECK(updated->find("x")->is_null());
  CHECK(updated->find("y")->find("z")->as_int() == 2);
  CHECK(*updated->find("id") == json::Value(id));
  CHECK(*updated->find("createdAt") == *record.find("createdAt"));
  CHECK(fixture.entities.get("user", id) == updated);
  CHECK_FALSE(fixture.entities.update("user", "none", json::parse("{}")).has_value());
  CHECK(fixture.entities.erase("user", id));
  CHECK_FALSE(fixture.entities.erase("user", id));
}

TEST_CASE("a query matches fields that are equal, as JSON means it") {
  EntitiesFixture fixture;
  fixture.create("user", R"({"name":"a","age":30,"city":"x","o":{"p":1,"q":2}})");
  fixture.create("user", R"({"name":"b","age":30.0,"city":null})");
  fixture.create("user", R"({"name":"c","age":"30"})");
  fixture.create("other", R"({"name":"d","age":30})");
  CHECK(fixture.names({}) == "a b c");
  CHECK(fixture.names(where(R"({"age":30})")) == "a b");
  CHECK(fixture.names(where(R"({"age":"30"})")) == "c");
  CHECK(fixture.names(where(R"({"city":null})")) == "b c");
  CHECK(fixture.names(where(R"({"age":30,"city":"x"})")) == "a");
  CHECK(fixture.names(where(R"({"o":{"q":2,"p":1}})")) == "a");
  CHECK(fixture.names(where(R"({"name') OR 1=1 --":1})")).empty());
}

TEST_CASE("a query sorts and takes a part") {
  EntitiesFixture fixture;
  for (const std::string text :
       {R"({"name":"a","n":2})", R"({"name":"b","n":10})", R"({"name":"c"})",
        R"({"name":"d","n":"x"})", R"({"name":"e","n":2.5})", R"({"name":"f","n":2})",
        R"({"name":"g","n":true})", R"({"name":"h","n":[]})"}) {
    fixture.create("user", text);
  }
  Query query{.order_by = "n"};
  CHECK(fixture.names(query) == "c a f e b d h g");
  query.offset = 1;
  query.limit = 3;
  CHECK(fixture.names(query) == "a f e");
  query.order = Order::descending;
  CHECK(fixture.names(query) == "h d b");
  query.offset = 100;
  CHECK(fixture.names(query).empty());
  CHECK(fixture.names({.offset = 6, .limit = 5}) == "g h");
  CHECK(fixture.names({.limit = 0}).empty());
}

TEST_CASE("numbers are sorted exactly, also those that a double cannot tell apart") {
  EntitiesFixture fixture;
  for (const std::string text :
       {R"({"name":"c","n":9007199254740993})", R"({"name":"b","n":9007199254740992.0})",
        R"({"name":"a","n":9007199254740991})", R"({"name":"e","n":18446744073709551615})",
        R"({"name":"d","n":9223372036854775807})"}) {
    fixture.create("user", text);
  }
  CHECK(fixture.names({.order_by = "n"}) == "a b c d e");
}

TEST_CASE("what cannot be stored is refused") {
  EntitiesFixture fixture;
  const json::Value empty = json::parse("{}");
  CHECK_THROWS_AS(fixture.entities.create("", empty), Error);
  CHECK_THROWS_AS(fixture.entities.create(std::string(257, 'e'), empty), Error);
  CHECK_THROWS_AS(fixture.entities.create("user", json::parse("[]")), Error);
  const json::Value large = json::object({{"x", std::string(Entities::kRecordBytesMax, 'x')}});
  CHECK_THROWS_AS(fixture.entities.create("user", large), Error);
  CHECK(fixture.entities.query("user", {}).empty());
}

TEST_CASE("an answer that is too large says how to ask for less") {
  EntitiesFixture fixture;
  const json::Value large = json::object({{"x", std::string(15 << 20, 'x')}});
  for (int i = 0; i < 5; ++i) fixture.entities.create("user", large);
  CHECK_THROWS_AS(fixture.entities.query("user", {}), Error);
  CHECK(fixture.entities.query("user", {.limit = 2}).size() == 2);
}

TEST_CASE("a part of what is sorted may be had of any number of records") {
  EntitiesFixture fixture;
  for (int n = 0; n < 5; ++n) {
    fixture.entities.create(
        "user", json::object({{"name", std::to_string(n)}, {"x", std::string(15 << 20, 'x')}}));
  }
  Query query{.order_by = "name", .order = Order::descending, .offset = 1, .limit = 2};
  CHECK(fixture.names(query) == "3 2");
  query.limit = 5;
  query.offset = 0;
  CHECK_THROWS_AS(fixture.entities.query("user", query), Error);
  query = {.order_by = "x", .limit = 1};
  CHECK_THROWS_AS(fixture.entities.query("user", query), Error);
}

}  // namespace cellar::store
