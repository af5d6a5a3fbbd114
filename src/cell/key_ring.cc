#include "cell/key_ring.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hmac.h"
#include "base/port.h"
#include "base/sha256.h"
#include "base/text.h"

namespace cellar::cell {
namespace {

constexpr std::array kScopes = {Scope::read, Scope::write, Scope::admin, Scope::metrics};
constexpr std::size_t kOwnerNameMax = 32;

bool has_word(std::string_view scopes, std::string_view word) noexcept {
  while (!scopes.empty()) {
    const std::size_t comma = std::min(scopes.find(','), scopes.size());
    if (scopes.substr(0, comma) == word) return true;
    scopes.remove_prefix(std::min(comma + 1, scopes.size()));
  }
  return false;
}

}  // namespace

std::string_view name_of(Scope scope) noexcept {
  switch (scope) {
    case Scope::read:
      return "read";
    case Scope::write:
      return "write";
    case Scope::admin:
      return "admin";
    case Scope::metrics:
      return "metrics";
  }
  return "";
}

std::string checked_scopes(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.find(',') == word.npos && has_word(kAllScopes, word)) continue;
    throw Error(ErrorCode::invalid_argument, "invalid_scope", "there is no scope \"" + word + "\"",
                "use some of " + std::string(kAllScopes));
  }
  std::string scopes;
  for (const Scope scope : kScopes) {
    if (std::find(words.begin(), words.end(), name_of(scope)) == words.end()) continue;
    scopes += (scopes.empty() ? "" : ",") + std::string(name_of(scope));
  }
  if (!scopes.empty()) return scopes;
  throw Error(ErrorCode::invalid_argument, "invalid_scope", "\"scopes\" must not be empty",
              "use some of " + std::string(kAllScopes));
}

bool includes(std::string_view scopes, Scope scope) noexcept {
  return has_word(scopes, name_of(scope)) ||
         (scope == Scope::read && has_word(scopes, name_of(Scope::write)));
}

std::string checked_owner(std::string owner_id) {
  const bool is_plain = std::all_of(owner_id.begin(), owner_id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  const bool is_fit = !owner_id.empty() && owner_id.size() <= kOwnerNameMax && is_plain;
  const bool is_port = parse_port(owner_id).has_value();  // 3000--dev--ada is a port of dev--ada.
  if (is_fit && !is_port && owner_id.front() != '-' && owner_id.back() != '-' &&
      owner_id.find("--") == owner_id.npos) {
    return owner_id;
  }
  throw Error(
      ErrorCode::invalid_argument, "invalid_owner",
      "\"owner\" must be 1 to 32 characters of a-z, 0-9 and single \"-\" between them, and no "
      "number of a port");
}

void KeyRing::put(Key key) {
  remove(key.id);
  ids_by_digest_.emplace(get_le<std::uint64_t>(key.secret_sha256, 0), key.id);
  const std::string id = key.id;
  keys_[id] = std::move(key);
}

void KeyRing::remove(std::string_view id) {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return;
  std::erase_if(ids_by_digest_, [id](const auto& entry) { return entry.second == id; });
  uses_.erase(found->first);
  keys_.erase(found);
}

const Key* KeyRing::find(std::string_view secret) const {
  const std::string digest = sha256(secret);
  const auto [first, last] = ids_by_digest_.equal_range(get_le<std::uint64_t>(digest, 0));
  for (auto at = first; at != last; ++at) {
    const Key& key = keys_.find(at->second)->second;
    if (equal_in_constant_time(key.secret_sha256, digest)) return &key;
  }
  return nullptr;
}

const Key* KeyRing::find_id(std::string_view id) const {
  const auto found = keys_.find(id);
  return found == keys_.end() ? nullptr : &found->second;
}

std::vector<Key> KeyRing::all() const {
  std::vector<Key> list;
  for (const auto& [id, key] : keys_) list.push_back(key);
  std::sort(list.begin(), list.end(), [](const Key& a, const Key& b) {
    return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
  });
  return list;
}

bool KeyRing::has_other_admin(std::string_view id) const {
  return std::any_of(keys_.begin(), keys_.end(), [id](const auto& entry) {
    const Key& key = entry.second;
    return key.id != id && !key.expires_at && includes(key.scopes, Scope::admin);
  });
}

void KeyRing::note_use(const Key& key, WallTime now) {
  uses_[key.id] = now;
  keys_.find(key.id)->second.last_used_at = now;
}

std::vector<std::pair<std::string, WallTime>> KeyRing::take_uses() {
  std::vector<std::pair<std::string, WallTime>> uses(uses_.begin(), uses_.end());
  uses_.clear();
  return uses;
}

}  // namespace cellar::cell
