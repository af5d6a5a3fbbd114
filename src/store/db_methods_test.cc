#include "store/db_methods.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"
#include "testing/temp_dir.h"

namespace cellar::store {
namespace {

struct MethodsFixture {
  testing::TempDir dir;
  CellStore store{dir.file("cell.sqlite")};

  json::Value answer(std::string_view method, std::string_view params) {
    auto value = answer_db_method(store, method, json::parse(params));
    REQUIRE(value.has_value());
    return *std::move(value);
  }
  std::string text(std::string_view method, std::string_view params) {
    return json::dump(answer(method, params));
  }
  std::string reason(std::string_view method, std::string_view params) {
    try {
      answer(method, params);
    } catch (const Error& error) {
      return error.reason();
    }
    return "";
  }
};

}  // namespace

TEST_CASE("values are set, got, listed and deleted as the contract has it") {
  MethodsFixture fixture;
  CHECK(fixture.text("db_set", R"({"key":"a:1","value":{"n":[1.5,null]}})") == R"({"ok":true})");
  CHECK(fixture.text("db_get", R"({"key":"a:1"})") == R"({"value":{"n":[1.5,null]}})");
  CHECK(fixture.text("db_get", R"({"key":"none"})") == R"({"value":null})");
  fixture.answer("db_set", R"({"key":"b"})");
  CHECK(fixture.text("db_keys", "{}") == R"({"keys":["a:1","b"]})");
  CHECK(fixture.text("db_keys", R"({"prefix":"a:"})") == R"({"keys":["a:1"]})");
  CHECK(fixture.text("db_delete", R"({"key":"b"})") == R"({"ok":true,"deleted":true})");
  CHECK(fixture.text("db_delete", R"({"key":"b"})") == R"({"ok":true,"deleted":false})");
}

TEST_CASE("a list of keys says that it is not all of them") {
  MethodsFixture fixture;
  const auto fill = [&] {
    for (std::size_t n = 0; n < kKeysListedMax; ++n) {
      fixture.store.key_value.set("a" + std::to_string(n), "0");
    }
    return std::string();
  };
  fixture.store.once({.run = 1, .ordinal = 1, .what = "x"}, fill);  // in one transaction
  CHECK(fixture.answer("db_keys", "{}").find("truncated") == nullptr);
  fixture.store.key_value.set("b", "0");
  const json::Value cut = fixture.answer("db_keys", "{}");
  CHECK(cut.find("truncated")->as_bool());
  CHECK(cut.find("keys")->as_array().size() == kKeysListedMax);
}

TEST_CASE("records are made, found, changed and deleted as the contract has it") {
  MethodsFixture fixture;
  const json::Value record = fixture.answer("db_create", R"({"entity":"e","data":{"n":1}})");
  fixture.answer("db_create", R"({"entity":"e","data":{"n":2}})");
  json::Value place = json::object({{"entity", "e"}, {"id", *record.find("id")}});
  const std::string by_id = json::dump(place);
  place.as_object().set("data", json::object({}));
  const std::string same = json::dump(place);
  CHECK(fixture.answer("db_get_by_id", by_id) == record);
  CHECK(fixture.answer("db_update", same) == record);
  CHECK(fixture.answer("db_get_all", R"({"entity":"e"})").find("items")->as_array().size() == 2);
  const json::Value found = fixture.answer(
      "db_query", R"({"entity":"e","orderBy":"n","order":"desc","limit":1,"offset":1})");
  REQUIRE(found.find("items")->as_array().size() == 1);
  CHECK(found.find("items")->as_array().front() == record);
  CHECK(fixture.text("db_query", R"({"entity":"e","where":{"n":3}})") == R"({"items":[]})");
  CHECK(fixture.text("db_delete_record", by_id) == R"({"ok":true,"deleted":true})");
  CHECK(fixture.text("db_get_by_id", by_id) == "null");
  CHECK(fixture.reason("db_update", same) == "record_not_found");
}

TEST_CASE("a name that is none of a method's is refused, and nothing is done") {
  MethodsFixture fixture;
  fixture.answer("db_set", R"({"key":"k","value":5})");
  CHECK(fixture.reason("db_set", R"({"key":"k","valu":6})") == "invalid_field");
  CHECK(fixture.text("db_get", R"({"key":"k"})") == R"({"value":5})");
  for (const char* method : {"db_get", "db_delete"}) {
    CHECK(fixture.reason(method, R"({"key":"k","x":1})") == "invalid_field");
  }
  CHECK(fixture.reason("db_keys", R"({"prefx":"k"})") == "invalid_field");
  CHECK(fixture.reason("db_query", R"({"entity":"e","wher":{}})") == "invalid_field");
  CHECK(fixture.reason("db_get_all", R"({"entity":"e","where":{}})") == "invalid_field");
  CHECK(fixture.reason("db_create", R"({"entity":"e","data":{},"x":1})") == "invalid_field");
  for (const char* method : {"db_get_by_id", "db_delete_record", "db_update"}) {
    CHECK(fixture.reason(method, R"({"entity":"e","id":"i","data":{},"x":1})") == "invalid_field");
  }
  CHECK(fixture.text("db_keys", "{}") == R"({"keys":["k"]})");
}

TEST_CASE("wrong params are named, and other methods are not answered") {
  MethodsFixture fixture;
  CHECK(fixture.reason("db_set", "{}") == "invalid_field");
  CHECK(fixture.reason("db_set", R"({"key":1,"value":2})") == "invalid_field");
  CHECK(fixture.reason("db_set", R"({"key":"","value":2})") == "invalid_key");
  CHECK(fixture.reason("db_get", "[]") == "invalid_body");
  CHECK(fixture.reason("db_create", R"({"entity":"e"})") == "invalid_field");
  CHECK(fixture.reason("db_create", R"({"entity":"e","data":[]})") == "invalid_data");
  CHECK(fixture.reason("db_query", R"({"entity":"e","where":[]})") == "invalid_field");
  CHECK(fixture.reason("db_query", R"({"entity":"e","order":"up"})") == "invalid_field");
  CHECK(fixture.reason("db_query", R"({"entity":"e","limit":-1})") == "invalid_field");
  CHECK_FALSE(answer_db_method(fixture.store, "db_drop", json::Value()).has_value());
}

}  // namespace cellar::store
