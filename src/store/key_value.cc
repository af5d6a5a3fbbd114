#include "store/key_value.h"

#include "base/error.h"
#include "base/text.h"

namespace cellar::store {
namespace {

void check_key(std::string_view key) {
  if (!key.empty() && key.size() <= KeyValue::kKeyBytesMax && is_valid_utf8(key)) return;
  throw Error(ErrorCode::invalid_argument, "invalid_key",
              "a key must be 1 to " + std::to_string(KeyValue::kKeyBytesMax) + " bytes of UTF-8");
}

void check_value_size(std::size_t size, std::size_t max) {
  if (size <= max) return;
  throw Error(
      ErrorCode::too_large, "value_too_large",
      "a value of " + std::to_string(size) + " bytes; at most " + std::to_string(max) + " fit");
}

}  // namespace

std::optional<std::string> KeyValue::get(std::string_view key) {
  check_key(key);
  Statement statement(database_, "SELECT value FROM key_value WHERE key = ?", Bytes{key});
  if (!statement.next()) return std::nullopt;
  return statement.text(0);
}

void KeyValue::set(std::string_view key, std::string_view json_text) {
  check_key(key);
  check_value_size(json_text.size(), kValueBytesMax);
  database_.run(
      "INSERT INTO key_value (key, value) VALUES (?, ?)"
      " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      Bytes{key}, Bytes{json_text});
}

bool KeyValue::erase(std::string_view key) {
  check_key(key);
  return database_.run("DELETE FROM key_value WHERE key = ?", Bytes{key}) > 0;
}

std::vector<std::string> KeyValue::keys(std::string_view prefix, std::size_t limit) {
  // 0xff is in no UTF-8 text: it is above all that can follow the prefix.
  const std::string end = std::string(prefix) + "\xff";
  Statement statement(database_,
                      "SELECT key FROM key_value WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
                      Bytes{prefix}, Bytes{end}, static_cast<std::int64_t>(limit));
  std::vector<std::string> keys;
  while (statement.next()) keys.push_back(statement.text(0));
  return keys;
}

std::optional<std::string> Meta::get(std::string_view name) {
  Statement statement(database_, "SELECT value FROM meta WHERE name = ?", name);
  if (!statement.next()) return std::nullopt;
  return statement.text(0);
}

void Meta::set(std::string_view name, std::string_view value) {
  check_value_size(value.size(), kValueBytesMax);
  database_.run("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, Bytes{value});
}

bool Meta::erase(std::string_view name) {
  return database_.run("DELETE FROM meta WHERE name = ?", name) > 0;
}

}  // namespace cellar::store
