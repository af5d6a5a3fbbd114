#include "store/cell_store.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::store {
namespace {

struct Fixture {
  testing::TempDir dir;
  CellStore store{dir.file("cell.sqlite")};
};

DeveloperLine line_of(const std::string& message) {
  return {.at = from_unix_ms(1'700'000'000'123), .type = "note", .message = message, .meta = "{}"};
}

}  // namespace

TEST_CASE("a value is set, replaced, read after a reopen, and deleted") {
  Fixture fixture;
  KeyValue& values = fixture.store.key_value;
  CHECK_FALSE(values.get("a").has_value());
  values.set("a", "1");
  values.set("a", "{\"b\":2}");
  {
    CellStore again(fixture.dir.file("cell.sqlite"));
    CHECK(again.key_value.get("a") == "{\"b\":2}");
  }
  CHECK(values.erase("a"));
  CHECK_FALSE(values.erase("a"));
  CHECK_FALSE(values.get("a").has_value());
}

TEST_CASE("hostile keys are only keys") {
  Fixture fixture;
  KeyValue& values = fixture.store.key_value;
  const std::vector<std::string> hostile = {"'; DROP TABLE key_value; --",
                                            "%",
                                            "_",
                                            "a\"b",
                                            std::string("a\0b", 3),
                                            std::string(1, '\0'),
                                            "../../etc",
                                            "\n",
                                            "\xf0\x9f\x98\x80",
                                            std::string(1024, 'k'),
                                            "\xef\xbf\xbf",
                                            "\x7f"};
  for (std::size_t i = 0; i < hostile.size(); ++i) values.set(hostile[i], std::to_string(i));
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    CAPTURE(i);
    CHECK(values.get(hostile[i]) == std::to_string(i));
    CHECK(values.keys(hostile[i], 10).front() == hostile[i]);
  }
  CHECK(values.keys("", 100).size() == hostile.size());
  CHECK_FALSE(values.get("a").has_value());
  CHECK_THROWS_AS(values.set("", "1"), Error);
  CHECK_THROWS_AS(values.set(std::string(1025, 'k'), "1"), Error);
  CHECK_THROWS_AS(values.set("\xff", "1"), Error);
  CHECK_THROWS_AS(values.get("\xc0\xaf"), Error);
}

TEST_CASE("keys are listed by prefix, in order, up to the limit") {
  Fixture fixture;
  KeyValue& values = fixture.store.key_value;
  for (const std::string key : {"user:2", "user:1", "user", "users", "uses", "user:10"}) {
    values.set(key, "0");
  }
  CHECK(values.keys("user:", 10) == std::vector<std::string>{"user:1", "user:10", "user:2"});
  CHECK(values.keys("user:", 2) == std::vector<std::string>{"user:1", "user:10"});
  CHECK(values.keys("x", 10).empty());
  CHECK(values.keys("", 10).size() == 6);
}

TEST_CASE("a value up to 16 MiB is kept, a larger one refused") {
  Fixture fixture;
  const std::string largest(KeyValue::kValueBytesMax, 'x');
  fixture.store.key_value.set("k", largest);
  CHECK(fixture.store.key_value.get("k") == largest);
  CHECK_THROWS_AS(fixture.store.key_value.set("k", largest + "x"), Error);
  CHECK(fixture.store.key_value.get("k")->size() == largest.size());
}

TEST_CASE("the developer's log keeps lines in their order") {
  Fixture fixture;
  DeveloperLog& log = fixture.store.developer_log;
  log.append(line_of("first"));
  log.append(line_of("second"));
  const auto lines = log.entries();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].message == "first");
  CHECK(to_unix_ms(lines[1].at) == 1'700'000'000'123);
  CHECK(lines[1].meta == "{}");

  const std::string longest(DeveloperLog::kLineBytesMax - 6, 'x');
  CHECK_NOTHROW(log.append(line_of(longest)));
  CHECK_THROWS_AS(log.append(line_of(longest + "x")), Error);
  log.clear();
  CHECK(log.entries().empty());
}

TEST_CASE("the developer's log forgets its oldest lines above either limit, also after a reopen") {
  testing::TempDir dir;
  for (int opened = 0; opened < 3; ++opened) {
    Database database(dir.file("a.sqlite"), 1,
                      "CREATE TABLE developer_log (place INTEGER PRIMARY KEY, at_ms INTEGER,"
                      " type BLOB, message BLOB, meta BLOB, size_bytes INTEGER)");
    DeveloperLog log(database, {.line_count_max = 3, .bytes_max = 100});
    for (const std::string message : {"1", "2", "3", "4"}) log.append(line_of(message));
    REQUIRE(log.entries().size() == 3);
    CHECK(log.entries().front().message == "2");
    log.append(line_of(std::string(85, 'x')));  // 91 bytes: one of 7 fits beside it
    REQUIRE(log.entries().size() == 2);
    CHECK(log.entries().front().message == "4");
  }
}

TEST_CASE("what a run changes at a place happens once, and gives the same answer again") {
  Fixture fixture;
  fixture.store.key_value.set("k", "1");
  const CallPlace erased{.run = 1, .ordinal = 3, .what = "run-1 db.delete k"};
  const CallPlace noted{.run = 1, .ordinal = 4, .what = "run-1 journal.step"};
  const auto change = [](CellStore& store, const CallPlace& place) {
    return store.once(place, [&] {
      if (place.ordinal != 4) return std::string(store.key_value.erase("k") ? "true" : "false");
      store.developer_log.append(line_of("noted"));
      return std::string("true");
    });
  };
  CHECK(change(fixture.store, erased) == "true");
  CHECK(change(fixture.store, noted) == "true");
  CellStore again(fixture.dir.file("cell.sqlite"));
  CHECK(change(again, erased) == "true");
  CHECK(change(again, noted) == "true");
  CHECK(again.developer_log.entries().size() == 1);
  CHECK_FALSE(again.key_value.get("k").has_value());

  CallPlace other = erased;  // of another run, or by other code
  other.what = "run-x db.delete k";
  CHECK(change(again, other) == "false");
}

TEST_CASE("a change that fails leaves no answer, and is undone with what it had done") {
  Fixture fixture;
  CellStore& store = fixture.store;
  const CallPlace place{.run = 1, .ordinal = 1, .what = "x"};
  const auto fails = [&]() -> std::string {
    store.developer_log.append(line_of("undone"));
    throw Error(ErrorCode::internal, "late");
  };
  CHECK_THROWS_AS(store.once(place, fails), Error);
  CHECK(store.developer_log.entries().empty());
  CHECK(store.developer_log.size().line_count == 0);
  CHECK(store.developer_log.size().bytes == 0);
  CHECK(store.once(place, [] { return std::string("2"); }) == "2");
}

TEST_CASE("answers are forgotten once they are kept elsewhere, or their run has ended") {
  Fixture fixture;
  CellStore& store = fixture.store;
  const auto call = [&](const CallPlace& place) {
    return store.once(place, [] { return std::string("new"); });
  };
  for (std::uint32_t run = 1; run <= 4; ++run) {
    call({.run = run, .ordinal = 1, .what = "x"});
    call({.run = run, .ordinal = 2, .what = "x"});
  }
  CHECK(store.call_answers.count() == 8);
  call({.run = 1, .ordinal = 3, .what = "x", .kept_to = 1});
  CHECK(store.call_answers.count() == 8);
  CHECK(store.call_answers.find({.run = 1, .ordinal = 2, .what = "x"}).has_value());
  CHECK_FALSE(store.call_answers.find({.run = 1, .ordinal = 1, .what = "x"}).has_value());

  // Of run 2 only; run 4 may have begun since.
  call({.run = 3, .ordinal = 3, .what = "x", .going = {1, 3}});
  CHECK_FALSE(store.call_answers.find({.run = 2, .ordinal = 1, .what = "x"}).has_value());
  CHECK(store.call_answers.count() == 7);
}

TEST_CASE("a file of before, which has no table for answers, gets one") {
  testing::TempDir dir;
  const std::string path = dir.file("cell.sqlite");
  {
    CellStore store(path);
    Database(path, 1, "").run("DROP TABLE call_answers");
  }
  CellStore store(path);
  CHECK(store.call_answers.count() == 0);
  const CallPlace place{.run = 1, .ordinal = 1, .what = "x"};
  CHECK_THROWS_AS(
      store.once(place, []() -> std::string { throw Error(ErrorCode::internal, "no"); }), Error);
  CHECK(store.once(place, [] { return std::string("1"); }) == "1");
  CHECK(store.once(place, [] { return std::string("2"); }) == "1");
  CHECK(store.call_answers.count() == 1);
}

TEST_CASE("documents above the limit are refused, but replacing one is not") {
  testing::TempDir dir;
  Database database(dir.file("a.sqlite"), 1,
                    "CREATE TABLE documents (path BLOB PRIMARY KEY, text BLOB)");
  Documents documents(database, 2);
  documents.put("a", "1");
  documents.put("b", "1");
  CHECK_THROWS_AS(documents.put("c", "1"), Error);
  documents.put("b", "2");
  CHECK(documents.list().size() == 2);
}

TEST_CASE("documents of the agent are put, replaced, visited and removed") {
  Fixture fixture;
  Documents& documents = fixture.store.documents;
  documents.put("README.md#install", "old");
  documents.put("README.md#install", "new");
  documents.put("a", "");
  CHECK(documents.list() == std::vector<std::string>{"README.md#install", "a"});
  std::string seen;
  documents.for_each([&](std::string_view path, std::string_view text) {
    seen.append(path).append("=").append(text).append(";");
  });
  CHECK(seen == "README.md#install=new;a=;");
  CHECK(documents.remove("a"));
  CHECK_FALSE(documents.remove("a"));
  CHECK_THROWS_AS(documents.put("", "x"), Error);
  CHECK_THROWS_AS(documents.put("x", std::string(Documents::kTextBytesMax + 1, 'x')), Error);
}

TEST_CASE("small facts are kept apart from the cell's own keys") {
  Fixture fixture;
  Meta& meta = fixture.store.meta;
  CHECK_FALSE(meta.get("setup_done").has_value());
  meta.set("setup_done", "sha");
  fixture.store.key_value.set("setup_done", "1");
  CHECK(meta.get("setup_done") == "sha");
  CHECK(meta.erase("setup_done"));
  CHECK_FALSE(meta.get("setup_done").has_value());
  CHECK(fixture.store.key_value.get("setup_done") == "1");
  CHECK_THROWS_AS(meta.set("x", std::string(Meta::kValueBytesMax + 1, 'x')), Error);
}

}  // namespace cellar::store
