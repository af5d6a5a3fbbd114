#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "store/registry.h"

namespace cellar::cell {

// What a key is good for. `write` includes `read`: what may run commands in a cell sees all of it.
enum class Scope : std::uint8_t {
  read,     // look at the owner's cells and what is in them
  write,    // make, change and delete them, and run things in them
  admin,    // keys, of all owners
  metrics,  // GET /metrics, and nothing else
};
// How the secret of each key begins that the daemon makes.
inline constexpr std::string_view kSecretStart = "cellar_";
inline constexpr std::string_view kAllScopes = "read,write,admin,metrics";

std::string_view name_of(Scope scope) noexcept;
// Words with commas between them, in the order of the enum, each once. Throws Error
// `invalid_argument`, naming the word that is none; for no word at all, too.
std::string checked_scopes(const std::vector<std::string>& words);
// Whether scopes in that form include `scope`.
bool includes(std::string_view scopes, Scope scope) noexcept;

// An owner's name begins the ids of its cells: 1 to 32 of [a-z0-9-], no "-" at its ends and no
// "--", so that no two owners' cells can have one id. Throws Error `invalid_argument`.
std::string checked_owner(std::string owner_id);

using Key = store::KeyRow;

// All keys, in memory: a request does not wait for the registry. Pure.
class KeyRing {
 public:
  // Adds it, or replaces that of the same id.
  void put(Key key);
  void remove(std::string_view id);

  // Whose secret this is, expired or not; nullptr for nobody's. Valid until the ring changes. It is
  // looked up by a part of its digest and compared in constant time.
  const Key* find(std::string_view secret) const;
  const Key* find_id(std::string_view id) const;
  // Oldest first.
  std::vector<Key> all() const;
  // Whether another key than `id` is one of admins for ever.
  bool has_other_admin(std::string_view id) const;

  void note_use(const Key& key, WallTime now);
  // The keys that were used since the last call, and when last.
  std::vector<std::pair<std::string, WallTime>> take_uses();

 private:
  std::map<std::string, Key, std::less<>> keys_;             // by id
  std::multimap<std::uint64_t, std::string> ids_by_digest_;  // by the digest's first bytes
  std::map<std::string, WallTime> uses_;
};

}  // namespace cellar::cell
