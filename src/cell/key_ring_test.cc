#include "cell/key_ring.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/sha256.h"

namespace cellar::cell {
namespace {

const WallTime kMade = from_unix_ms(1'700'000'000'000);

Key key_of(const std::string& id, const std::string& secret, const std::string& scopes) {
  return {.id = id,
          .owner_id = "dev",
          .name = id,
          .scopes = scopes,
          .created_at = kMade,
          .expires_at = {},
          .last_used_at = {},
          .secret_sha256 = sha256(secret)};
}

}  // namespace

TEST_CASE("scopes are known words in one order, and write includes read") {
  CHECK(checked_scopes({"admin", "read", "read"}) == "read,admin");
  CHECK_THROWS_WITH_AS(checked_scopes({"read", "root"}), "there is no scope \"root\"", Error);
  CHECK_THROWS_AS(checked_scopes({"read,write"}), Error);
  CHECK_THROWS_AS(checked_scopes({""}), Error);
  CHECK_THROWS_AS(checked_scopes({}), Error);
  CHECK(includes("write", Scope::read));
  CHECK_FALSE(includes("read", Scope::write));
  CHECK_FALSE(includes("read,write,metrics", Scope::admin));
  CHECK_FALSE(includes("admin", Scope::read));
}

TEST_CASE("an owner's name cannot make its cells look like another's") {
  CHECK(checked_owner("team-1") == "team-1");
  CHECK(checked_owner("0042") == "0042");
  CHECK_THROWS_AS(checked_owner("3000"), Error);
  for (const char* name : {"", "-a", "a-", "a--b", "A", "a/b", "a_b"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(checked_owner(name), Error);
  }
  CHECK(checked_owner(std::string(32, 'a')).size() == 32);
  CHECK_THROWS_AS(checked_owner(std::string(33, 'a')), Error);
}

TEST_CASE("a key is found by its whole secret, until it is removed or replaced") {
  KeyRing ring;
  ring.put(key_of("key_1", "secret-1", "read"));
  ring.put(key_of("key_2", "secret-2", "write"));
  REQUIRE(ring.find("secret-2") != nullptr);
  CHECK(ring.find("secret-2")->id == "key_2");
  CHECK(ring.find("secret-") == nullptr);
  CHECK(ring.find("") == nullptr);
  // Another digest with the same beginning is not enough.
  Key near = key_of("key_3", "secret-3", "read");
  near.secret_sha256 = sha256("x");
  near.secret_sha256.back() = static_cast<char>(near.secret_sha256.back() ^ 1);
  ring.put(near);
  CHECK(ring.find("x") == nullptr);
  ring.put(key_of("key_1", "secret-new", "read"));
  CHECK(ring.find("secret-1") == nullptr);
  CHECK(ring.find("secret-new")->id == "key_1");
  ring.remove("key_1");
  CHECK(ring.find("secret-new") == nullptr);
  CHECK(ring.all().size() == 2);
}

TEST_CASE("who used a key when is told once, and the last admin for ever is known") {
  KeyRing ring;
  ring.put(key_of("key_1", "secret-1", "admin"));
  Key ends = key_of("key_2", "secret-2", "admin");
  ends.expires_at = kMade;
  ring.put(ends);
  ring.put(key_of("key_3", "secret-3", "write"));
  CHECK_FALSE(ring.has_other_admin("key_1"));
  CHECK(ring.has_other_admin("key_3"));
  ring.note_use(*ring.find("secret-1"), kMade);
  ring.note_use(*ring.find("secret-1"), kMade + std::chrono::seconds(1));
  const auto uses = ring.take_uses();
  REQUIRE(uses.size() == 1);
  CHECK(uses[0] == std::pair(std::string("key_1"), kMade + std::chrono::seconds(1)));
  CHECK(ring.find("secret-1")->last_used_at == kMade + std::chrono::seconds(1));
  CHECK(ring.take_uses().empty());
}

}  // namespace cellar::cell
