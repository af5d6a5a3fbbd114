#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"

namespace cellar::store {

// The cell's key-value database behind ctx.db and db_get, db_set, db_delete, db_keys. A value is
// JSON text, which the caller vouches for. A write is durable when the call returns.
//
// Keys are any valid UTF-8 of 1 to kKeyBytesMax bytes. Besides what Database says, calls throw
// Error `invalid_argument`, reason `invalid_key`, and `too_large`, reason `value_too_large`.
class KeyValue {
 public:
  static constexpr std::size_t kKeyBytesMax = 1 << 10;
  static constexpr std::size_t kValueBytesMax = 16 << 20;

  // `database` must outlive it.
  explicit KeyValue(Database& database) : database_(database) {}

  std::optional<std::string> get(std::string_view key);
  void set(std::string_view key, std::string_view json_text);
  // False where there was none.
  bool erase(std::string_view key);
  // The keys that begin with `prefix`, in the order of their bytes, at most `limit`.
  std::vector<std::string> keys(std::string_view prefix, std::size_t limit);

 private:
  Database& database_;
};

// Small facts about the cell itself, for our own code: "setup_done". Names are literals of ours.
class Meta {
 public:
  static constexpr std::size_t kValueBytesMax = 64 << 10;

  // `database` must outlive it.
  explicit Meta(Database& database) : database_(database) {}

  std::optional<std::string> get(std::string_view name);
  // Throws Error `too_large` for a long value.
  void set(std::string_view name, std::string_view value);
  bool erase(std::string_view name);

 private:
  Database& database_;
};

}  // namespace cellar::store
