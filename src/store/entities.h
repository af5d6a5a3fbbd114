#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"
#include "store/database.h"

namespace cellar::store {

enum class Order : std::uint8_t { ascending, descending };

// What db_query asks for. An empty one gives all records in the order of their creation.
struct Query {
  json::Object where;    // Each field must be equal; null also means that the field is not there.
  std::string order_by;  // A field; records that are equal in it keep the order of creation.
  Order order = Order::ascending;
  std::size_t offset = 0;
  std::size_t limit = SIZE_MAX;
};

// The records behind db_create, db_query, db_get_all, db_get_by_id, db_update, db_delete_record.
// Each is a JSON object with a generated `id` and `createdAt`; an entity is a name for a set of
// them and need not be declared. A write is durable when the call returns.
//
// A query reads every record of the entity; only one by `id` does not. Ordered are null (or absent)
// before numbers, strings, lists and objects (all equal), false, true.
//
// Entity names are UTF-8 of 1 to kEntityBytesMax bytes. Besides what Database says, calls throw
// Error `invalid_argument`, reason `invalid_entity` or `invalid_data`, and `too_large`.
class Entities {
 public:
  static constexpr std::size_t kEntityBytesMax = 256;
  static constexpr std::size_t kRecordBytesMax = 16 << 20;
  // Of all records of one answer together, and of the fields that records are sorted by.
  static constexpr std::size_t kAnswerBytesMax = 64 << 20;

  // `database` must outlive it.
  explicit Entities(Database& database) : database_(database) {}

  // `data` must be an object; an `id` or `createdAt` in it is replaced.
  json::Value create(std::string_view entity, const json::Value& data);
  std::vector<json::Value> query(std::string_view entity, const Query& query);
  std::optional<json::Value> get(std::string_view entity, std::string_view id);
  // Sets the fields of `data` (but `id` and `createdAt`) and keeps the others. nullopt where there
  // is no such record.
  std::optional<json::Value> update(std::string_view entity, std::string_view id,
                                    const json::Value& data);
  // False where there was none.
  bool erase(std::string_view entity, std::string_view id);

 private:
  std::vector<json::Value> sorted(std::string_view entity, const Query& query);

  Database& database_;
};

}  // namespace cellar::store
