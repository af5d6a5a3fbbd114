#include "store/registry.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "base/error.h"
#include "base/sha256.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::store {
namespace {

const WallTime kThen = from_unix_ms(1'700'000'000'000);

struct RegistryFixture {
  testing::TempDir dir;
  Registry registry{dir.file("registry.sqlite"), 4};

  CellRow add(const std::string& customer) {
    return registry.get_or_add_cell("o--" + customer, "o", customer, kThen).row;
  }
};

std::string reason_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.reason();
  }
  return "";
}

}  // namespace

TEST_CASE("a domain is kept as it was put last, until it is removed") {
  RegistryFixture fixture;
  DomainRow row{.domain = "a.org",
                .owner_id = "o",
                .cell_id = "o--a",
                .challenge = "c",
                .is_verified = false,
                .created_at = kThen};
  fixture.registry.put_domain(row);
  row.is_verified = true;
  row.cell_id = "o--b";
  fixture.registry.put_domain(row);
  fixture.registry.rebuild({});
  Registry again(fixture.dir.file("registry.sqlite"), 4);
  CHECK(again.domains() == std::vector{row});
  CHECK(again.remove_domain("a.org"));
  CHECK_FALSE(again.remove_domain("a.org"));
  CHECK(again.domains().empty());
}

TEST_CASE("a key is kept as it was put last, and its secret is nowhere in the file") {
  RegistryFixture fixture;
  Registry& registry = fixture.registry;
  KeyRow row{.id = "key_1",
             .owner_id = "alice",
             .name = "ci",
             .scopes = "read",
             .created_at = kThen,
             .expires_at = {},
             .last_used_at = {},
             .secret_sha256 = sha256("secret-key-1")};
  registry.put_key(row);
  row.scopes = "read,write";
  row.expires_at = kThen + std::chrono::hours(1);
  registry.put_key(row);
  KeyRow other = row;
  other.id = "key_2";
  CHECK(reason_of([&] { registry.put_key(other); }) == "key_taken");
  other.secret_sha256 = sha256("secret-key-2");
  other.owner_id = "bob";
  other.created_at += std::chrono::milliseconds(1);
  registry.put_key(other);
  registry.note_key_uses({{"key_1", kThen}, {"key_gone", kThen}});
  row.last_used_at = kThen;
  CHECK(Registry(fixture.dir.file("registry.sqlite"), 4).keys() == std::vector{row, other});
  CHECK(registry.owners() == std::vector<std::string>{"alice", "bob"});
  for (const std::string name : {"registry.sqlite", "registry.sqlite-wal"}) {
    CHECK(sys::read_file(fixture.dir.file(name))->find("secret-key") == std::string::npos);
  }
  CHECK(registry.remove_key("key_1"));
  CHECK_FALSE(registry.remove_key("key_1"));
  CHECK(registry.keys() == std::vector{other});
  CHECK_THROWS_AS(registry.add_owner(""), Error);
  CHECK_THROWS_AS(registry.add_owner(std::string(64, 'o')), Error);
}

TEST_CASE("a key of a registry of before can do all, and is moved once") {
  testing::TempDir dir;
  const std::string path = dir.file("registry.sqlite");
  {
    const Registry made(path, 4);
  }
  {
    Database before(path, 1, "");
    before.run("INSERT INTO owners (owner_id) VALUES ('dev')");
    const std::string digest = sha256("old-key");
    before.run("INSERT INTO api_keys VALUES (?, 'dev')", Bytes{digest});
  }
  std::string id;
  {
    Registry moved(path, 4);
    REQUIRE(moved.keys().size() == 1);
    CHECK(moved.keys()[0].secret_sha256 == sha256("old-key"));
    CHECK(moved.keys()[0].scopes == "read,write,admin,metrics");
    id = moved.keys()[0].id;
    CHECK(moved.remove_key(id));
  }
  CHECK(Registry(path, 4).keys().empty());
}

TEST_CASE("there is a limit of keys") {
  RegistryFixture fixture;
  KeyRow row{.id = {},
             .owner_id = "o",
             .name = "n",
             .scopes = "read",
             .created_at = kThen,
             .expires_at = {},
             .last_used_at = {},
             .secret_sha256 = {}};
  const auto add = [&](std::size_t number) {
    row.id = "key_" + std::to_string(number);
    row.secret_sha256 = sha256(row.id);
    fixture.registry.put_key(row);
  };
  for (std::size_t number = 0; number < Registry::kKeysMax; ++number) add(number);
  CHECK(reason_of([&] { add(Registry::kKeysMax); }) == "too_many_keys");
  add(0);  // Replacing one needs no room.
}

TEST_CASE("a customer has one cell, whose row is the same after a reopen") {
  RegistryFixture fixture;
  const auto first = fixture.registry.get_or_add_cell("o--a", "o", "a", kThen);
  CHECK(first.is_new);
  const auto second =
      fixture.registry.get_or_add_cell("o--a", "o", "a", kThen + std::chrono::hours(1));
  CHECK_FALSE(second.is_new);
  CHECK(second.row == first.row);
  Registry again(fixture.dir.file("registry.sqlite"), 4);
  CHECK(again.find_cell("o--a") == first.row);
  CHECK(again.find_customer("o", "a") == first.row);
  CHECK_FALSE(again.find_customer("p", "a").has_value());
  CHECK(again.cells_of("o").size() == 1);
  CHECK(again.cells_of("p").empty());
  const auto taken = [&] { again.get_or_add_cell("o--a", "o", "other", kThen); };
  CHECK(reason_of(taken) == "already_exists");
  CHECK(again.cells().size() == 1);
}

TEST_CASE("a uid index belongs to one cell, and rests after it was freed") {
  RegistryFixture fixture;
  CHECK(fixture.add("a").uid_index == 0);
  CHECK(fixture.add("b").uid_index == 1);
  CHECK(fixture.registry.remove_cell("o--a"));
  CHECK_FALSE(fixture.registry.remove_cell("o--a"));
  CHECK(fixture.add("c").uid_index == 2);
  CHECK(fixture.add("d").uid_index == 3);
  CHECK(fixture.add("e").uid_index == 0);  // only now again
  CHECK(reason_of([&] { fixture.add("f"); }) == "no_uid_range");
  CHECK(fixture.registry.remove_cell("o--c"));
  CHECK(fixture.add("f").uid_index == 2);
  CHECK(fixture.registry.remove_cell("o--b"));
  fixture.registry.rest_uid_index(1);
  CHECK(reason_of([&] { fixture.add("g"); }) == "no_uid_range");
  fixture.registry.end_rest(1);
  CHECK(fixture.add("g").uid_index == 1);
  std::set<std::uint32_t> indexes;
  for (const CellRow& row : fixture.registry.cells()) indexes.insert(row.uid_index);
  CHECK(indexes.size() == 4);
}

TEST_CASE("a reserved uid index is no other cell's, until it is given back") {
  RegistryFixture fixture;
  CHECK(fixture.registry.reserve_uid_index() == 0);
  CHECK(fixture.add("a").uid_index == 1);
  const auto added = fixture.registry.get_or_add_cell("o--b", "o", "b", kThen, 0);
  CHECK(added.row.uid_index == 0);
  CHECK(fixture.registry.reserve_uid_index() == 2);
  CHECK(fixture.registry.reserve_uid_index() == 3);
  CHECK(reason_of([&] { fixture.add("c"); }) == "no_uid_range");
  CHECK(reason_of([&] { fixture.registry.reserve_uid_index(); }) == "no_uid_range");
  const auto present = fixture.registry.get_or_add_cell("o--x", "o", "b", kThen, 3);
  CHECK_FALSE(present.is_new);
  CHECK(reason_of([&] { fixture.add("c"); }) == "no_uid_range");
  fixture.registry.end_rest(3);
  CHECK(fixture.add("c").uid_index == 3);
}

TEST_CASE("cells are known again from their rows, and two that clash are named") {
  RegistryFixture fixture;
  const CellRow a = fixture.add("a");
  const CellRow b = fixture.add("b");

  testing::TempDir other;
  Registry rebuilt(other.file("registry.sqlite"), 4);
  rebuilt.rebuild({b, a});
  CHECK(rebuilt.find_cell("o--a") == a);
  CHECK(rebuilt.cells().size() == 2);
  CHECK(rebuilt.get_or_add_cell("o--c", "o", "c", kThen).row.uid_index == 2);

  CellRow clash = b;
  clash.cell_id = "o--x";
  clash.customer_id = "x";
  const auto rebuild = [&] { rebuilt.rebuild({a, b, clash}); };
  CHECK_THROWS_WITH_AS(rebuild(), "the cells o--b and o--x have the same uid index", Error);
  clash.uid_index = 4;
  CHECK(reason_of(rebuild) == "registry_rows");
  CHECK(rebuilt.cells().size() == 3);

  fixture.registry.rebuild({});
  CHECK(fixture.registry.cells().empty());
}

}  // namespace cellar::store
