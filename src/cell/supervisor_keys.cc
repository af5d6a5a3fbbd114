// The keys of the API, as the supervisor keeps them.

#include "async/run_to_end.h"
#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sha256.h"
#include "cell/supervisor.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kKeyIdBytes = 8;
constexpr std::size_t kSecretBytes = 20;
// How often the registry hears of it: a request does not write to the disk for its key.
constexpr std::chrono::seconds kUsesNotedEvery{60};

bool is_over(const Key& key, WallTime now) { return key.expires_at && *key.expires_at <= now; }

}  // namespace

asio::awaitable<Supervisor::CreatedKey> Supervisor::create_key(std::string owner_id,
                                                               std::string name, std::string scopes,
                                                               std::optional<WallTime> expires_at) {
  CreatedKey created;
  created.secret = std::string(kSecretStart) + random_hex(kSecretBytes);
  created.key = {.id = "key_" + random_hex(kKeyIdBytes),
                 .owner_id = std::move(owner_id),
                 .name = std::move(name),
                 .scopes = std::move(scopes),
                 .created_at = wall_now(),
                 .expires_at = expires_at,
                 .last_used_at = {},
                 .secret_sha256 = sha256(created.secret)};
  co_await async::run_to_end(changes_, store_key(created.key));
  co_return created;
}

asio::awaitable<void> Supervisor::add_configured_key(std::string owner_id, std::string secret) {
  const Key* known = key_ring_.find(secret);
  if (known != nullptr && known->owner_id != owner_id) {
    throw Error(ErrorCode::conflict, "key_taken",
                "the API key that cellard was given belongs to the owner " + known->owner_id,
                "give it another one (CELLAR_API_KEY)");
  }
  Key key = known != nullptr ? *known : Key{};
  if (known == nullptr) {
    key.id = "key_" + random_hex(kKeyIdBytes);
    key.owner_id = std::move(owner_id);
    key.name = "first";
    key.created_at = wall_now();
    key.secret_sha256 = sha256(secret);
  }
  key.scopes = kAllScopes;
  key.expires_at.reset();
  if (known != nullptr && *known == key) co_return;
  co_await async::run_to_end(changes_, store_key(std::move(key)));
}

asio::awaitable<void> Supervisor::store_key(Key key) {
  auto put = [key](store::Registry& registry) {
    registry.put_key(key);
    return true;
  };
  co_await with_registry(std::move(put));
  key_ring_.put(std::move(key));
}

asio::awaitable<void> Supervisor::remove_key(std::string id) {
  co_await async::run_to_end(changes_, forget_key(std::move(id)));
}

// One at a time: two admins' keys that are removed at once must not both find the other one.
asio::awaitable<void> Supervisor::forget_key(std::string id) {
  const auto turn = co_await turns_.turn();
  const Key* key = key_ring_.find_id(id);
  if (key == nullptr) {
    throw Error(ErrorCode::not_found, "key_not_found", "no key \"" + id + "\"",
                "list the keys with GET /api/v1/keys");
  }
  if (includes(key->scopes, Scope::admin) && !key_ring_.has_other_admin(id)) {
    throw Error(ErrorCode::conflict, "last_admin_key",
                "no other key has the scope admin for ever: nobody could make keys any more",
                "make another one with the scope admin and no expiry first");
  }
  auto remove = [id](store::Registry& registry) { return registry.remove_key(id); };
  co_await with_registry(std::move(remove));
  key_ring_.remove(id);
  // Who reads events with it, or with a token of it, is told now, and not with the next one.
  for (const auto& [cell_id, cell] : cells_) cell->wake_watchers();
}

const Key* Supervisor::use_key(std::string_view secret) {
  const Key* key = key_ring_.find(secret);
  if (key == nullptr) return nullptr;
  const WallTime now = wall_now();
  if (is_over(*key, now)) {
    throw Error(ErrorCode::unauthenticated, "key_expired",
                "the API key \"" + key->name + "\" expired at " + to_iso8601(*key->expires_at),
                "have another one made with POST /api/v1/keys");
  }
  key_ring_.note_use(*key, now);
  return key;
}

bool Supervisor::has_key(std::string_view id) const {
  const Key* key = key_ring_.find_id(id);
  return key != nullptr && !is_over(*key, wall_now());
}

const Key* Supervisor::key_of_token(std::string_view id) {
  const Key* key = key_ring_.find_id(id);
  const WallTime now = wall_now();
  if (key == nullptr || is_over(*key, now)) return nullptr;
  key_ring_.note_use(*key, now);
  return key;
}

asio::awaitable<void> Supervisor::note_key_uses() {
  auto uses = key_ring_.take_uses();
  if (uses.empty() || !registry_) co_return;
  auto note = [uses = std::move(uses)](store::Registry& registry) {
    registry.note_key_uses(uses);
    return true;
  };
  try {
    co_await with_registry(std::move(note));
  } catch (const Error& error) {  // When a key was used is worth no more than a line.
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("when keys were used is not noted: {}", error.what());
  }
}

asio::awaitable<void> Supervisor::keep_key_uses() {
  for (;;) {
    co_await async::sleep_for(kUsesNotedEvery);
    co_await note_key_uses();
  }
}

}  // namespace cellar::cell
