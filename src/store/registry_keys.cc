// Keys of the API, as the registry keeps them.

#include "base/error.h"
#include "store/registry.h"

namespace cellar::store {
namespace {

std::optional<WallTime> time_in(const Statement& statement, int column) {
  if (statement.is_null(column)) return std::nullopt;
  return from_unix_ms(statement.integer(column));
}

KeyRow key_row_of(const Statement& statement) {
  return {.id = statement.text(0),
          .owner_id = statement.text(1),
          .name = statement.text(2),
          .scopes = statement.text(3),
          .created_at = from_unix_ms(statement.integer(4)),
          .expires_at = time_in(statement, 5),
          .last_used_at = time_in(statement, 6),
          .secret_sha256 = statement.text(7)};
}

}  // namespace

// A registry of before has its keys in a table that knows their owners only: whoever had one could
// do all.
void Registry::make_key_table() {
  Transaction transaction(database_);
  database_.run(
      "CREATE TABLE IF NOT EXISTS keys ("
      " key_id TEXT NOT NULL PRIMARY KEY,"
      " owner_id TEXT NOT NULL REFERENCES owners,"
      " name TEXT NOT NULL,"
      " scopes TEXT NOT NULL,"
      " created_at_ms INTEGER NOT NULL,"
      " expires_at_ms INTEGER,"
      " last_used_at_ms INTEGER,"
      " secret_sha256 BLOB NOT NULL UNIQUE) STRICT");
  database_.run(
      "INSERT OR IGNORE INTO keys"
      " SELECT 'key_' || lower(hex(randomblob(8))), owner_id, 'first', 'read,write,admin,metrics',"
      " ?, NULL, NULL, key_sha256 FROM api_keys",
      to_unix_ms(wall_now()));
  database_.run("DELETE FROM api_keys");
  transaction.commit();
}

void Registry::put_key(const KeyRow& row) {
  Transaction transaction(database_);
  add_owner(row.owner_id);
  database_.run("DELETE FROM keys WHERE key_id = ?", row.id);
  {
    Statement taken(database_, "SELECT 1 FROM keys WHERE secret_sha256 = ?",
                    Bytes{row.secret_sha256});
    if (taken.next()) {
      throw Error(ErrorCode::conflict, "key_taken", "this API key is there already");
    }
    Statement count(database_, "SELECT count(*) FROM keys");
    if (count.next() && count.integer(0) >= static_cast<std::int64_t>(kKeysMax)) {
      throw Error(ErrorCode::exhausted, "too_many_keys",
                  "there are " + std::to_string(kKeysMax) + " keys, which is the limit",
                  "remove keys that nobody needs");
    }
  }
  database_.run(
      "INSERT INTO keys (key_id, owner_id, name, scopes, created_at_ms, secret_sha256)"
      " VALUES (?, ?, ?, ?, ?, ?)",
      row.id, row.owner_id, row.name, row.scopes, to_unix_ms(row.created_at),
      Bytes{row.secret_sha256});
  if (row.expires_at) {
    database_.run("UPDATE keys SET expires_at_ms = ? WHERE key_id = ?", to_unix_ms(*row.expires_at),
                  row.id);
  }
  if (row.last_used_at) {
    database_.run("UPDATE keys SET last_used_at_ms = ? WHERE key_id = ?",
                  to_unix_ms(*row.last_used_at), row.id);
  }
  transaction.commit();
}

std::vector<KeyRow> Registry::keys() {
  Statement statement(database_,
                      "SELECT key_id, owner_id, name, scopes, created_at_ms, expires_at_ms,"
                      " last_used_at_ms, secret_sha256 FROM keys ORDER BY created_at_ms, rowid");
  std::vector<KeyRow> rows;
  while (statement.next()) rows.push_back(key_row_of(statement));
  return rows;
}

bool Registry::remove_key(std::string_view id) {
  return database_.run("DELETE FROM keys WHERE key_id = ?", id) > 0;
}

void Registry::note_key_uses(const std::vector<std::pair<std::string, WallTime>>& uses) {
  Transaction transaction(database_);
  for (const auto& [id, at] : uses) {
    database_.run("UPDATE keys SET last_used_at_ms = ? WHERE key_id = ?", to_unix_ms(at), id);
  }
  transaction.commit();
}

}  // namespace cellar::store
