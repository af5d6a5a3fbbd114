#include "store/db_methods.h"

#include <map>

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::store {
namespace {

using Method = json::Value (*)(CellStore&, const json::Reader&);

const json::Value& value_or_null(const json::Reader& params, std::string_view key) {
  static const json::Value null;
  const json::Value* value = params.optional_value(key);
  return value == nullptr ? null : *value;
}

json::Value set(CellStore& store, const json::Reader& params) {
  const std::string key = params.required_string("key");
  const std::string value = json::dump(value_or_null(params, "value"));
  params.refuse_unknown();
  store.key_value.set(key, value);
  return json::object({{"ok", true}});
}

json::Value get(CellStore& store, const json::Reader& params) {
  const std::string key = params.required_string("key");
  params.refuse_unknown();
  // A value is read back whatever limits it was parsed with.
  const json::ParseLimits limits{.depth_max = 256};
  const auto text = store.key_value.get(key);
  return json::object({{"value", text ? json::parse(*text, limits) : json::Value()}});
}

json::Value erase(CellStore& store, const json::Reader& params) {
  const std::string key = params.required_string("key");
  params.refuse_unknown();
  const bool was_there = store.key_value.erase(key);
  return json::object({{"ok", true}, {"deleted", was_there}});
}

json::Value keys(CellStore& store, const json::Reader& params) {
  const std::string prefix = params.optional_string("prefix").value_or("");
  params.refuse_unknown();
  auto keys = store.key_value.keys(prefix, kKeysListedMax + 1);
  const bool is_cut = keys.size() > kKeysListedMax;
  if (is_cut) keys.resize(kKeysListedMax);
  json::Value answer = json::object({{"keys", json::Array(keys.begin(), keys.end())}});
  if (is_cut) answer.as_object().set("truncated", true);
  return answer;
}

json::Value create(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  const json::Value& data = params.required_value("data");
  params.refuse_unknown();
  return store.entities.create(entity, data);
}

Query query_of(const json::Reader& params) {
  Query query;
  if (const json::Value* where = params.optional_value("where")) {
    if (!where->is_object()) json::Reader::refuse("where", "an object");
    query.where = where->as_object();
  }
  const std::string order = params.optional_string("order").value_or("asc");
  if (order != "asc" && order != "desc") json::Reader::refuse("order", "\"asc\" or \"desc\"");
  query.order = order == "asc" ? Order::ascending : Order::descending;
  query.order_by = params.optional_string("orderBy").value_or("");
  query.offset = static_cast<std::size_t>(params.optional_int("offset", 0, INT64_MAX).value_or(0));
  if (const auto limit = params.optional_int("limit", 0, INT64_MAX)) {
    query.limit = static_cast<std::size_t>(*limit);
  }
  return query;
}

json::Value query(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  const Query query = query_of(params);
  params.refuse_unknown();
  return json::object({{"items", store.entities.query(entity, query)}});
}

json::Value get_all(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  params.refuse_unknown();
  return json::object({{"items", store.entities.query(entity, Query())}});
}

json::Value get_by_id(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  const std::string id = params.required_string("id");
  params.refuse_unknown();
  return store.entities.get(entity, id).value_or(json::Value());
}

json::Value update(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  const std::string id = params.required_string("id");
  const json::Value& data = params.required_value("data");
  params.refuse_unknown();
  auto record = store.entities.update(entity, id, data);
  if (!record) {
    throw Error(ErrorCode::not_found, "record_not_found",
                "there is no \"" + entity + "\" with the id \"" + id + "\"");
  }
  return *std::move(record);
}

json::Value delete_record(CellStore& store, const json::Reader& params) {
  const std::string entity = params.required_string("entity");
  const std::string id = params.required_string("id");
  params.refuse_unknown();
  const bool was_there = store.entities.erase(entity, id);
  return json::object({{"ok", true}, {"deleted", was_there}});
}

const std::map<std::string_view, Method> kMethods = {
    {"db_set", set},         {"db_get", get},
    {"db_delete", erase},    {"db_keys", keys},
    {"db_create", create},   {"db_query", query},
    {"db_get_all", get_all}, {"db_get_by_id", get_by_id},
    {"db_update", update},   {"db_delete_record", delete_record},
};

}  // namespace

bool is_db_method(std::string_view method) noexcept { return kMethods.contains(method); }

std::optional<json::Value> answer_db_method(CellStore& store, std::string_view method,
                                            const json::Value& params) {
  const auto found = kMethods.find(method);
  if (found == kMethods.end()) return std::nullopt;
  const json::Reader reader(params, "\"params\"");
  return found->second(store, reader);
}

}  // namespace cellar::store
