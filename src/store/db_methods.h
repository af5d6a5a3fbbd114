#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "json/value.h"
#include "store/cell_store.h"

namespace cellar::store {

// How many keys one db_keys (or ctx.db.keys) lists.
inline constexpr std::size_t kKeysListedMax = 100'000;

// Whether it is one of the methods of answer_db_method().
bool is_db_method(std::string_view method) noexcept;

// Answers the methods of the OnCell contract that are about the database, from their params to
// their result: db_set db_get db_delete db_keys db_create db_query db_get_all db_get_by_id
// db_update db_delete_record. nullopt for any other method.
//
// Throws Error as the parts of CellStore do; `invalid_argument`, reason `invalid_field`, for wrong
// params; `not_found`, reason `record_not_found`, where db_update finds no record (db_get_by_id
// answers null then). Blocking, as CellStore.
std::optional<json::Value> answer_db_method(CellStore& store, std::string_view method,
                                            const json::Value& params);

}  // namespace cellar::store
