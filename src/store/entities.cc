#include "store/entities.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "json/json.h"

namespace cellar::store {
namespace {

constexpr std::size_t kIdBytes = 12;  // 24 hexadecimal digits
const json::Value kNull;

void check_entity(std::string_view entity) {
  if (!entity.empty() && entity.size() <= Entities::kEntityBytesMax && is_valid_utf8(entity)) {
    return;
  }
  throw Error(
      ErrorCode::invalid_argument, "invalid_entity",
      "an entity must be 1 to " + std::to_string(Entities::kEntityBytesMax) + " bytes of UTF-8");
}

void check_data(const json::Value& data) {
  if (data.is_object()) return;
  throw Error(ErrorCode::invalid_argument, "invalid_data", "\"data\" must be an object");
}

std::string encode(const json::Value& record) {
  std::string text = json::dump(record);
  if (text.size() <= Entities::kRecordBytesMax) return text;
  throw Error(ErrorCode::too_large, "value_too_large",
              "a record of " + std::to_string(text.size()) + " bytes; at most " +
                  std::to_string(Entities::kRecordBytesMax) + " fit");
}

// What was written must come back, whatever limits it was parsed with.
json::Value decode(std::string_view text) {
  const json::ParseLimits limits{.depth_max = 256};
  return json::parse(text, limits);
}

const json::Value& field_of(const json::Value& record, std::string_view name) {
  const json::Value* value = record.find(name);
  return value == nullptr ? kNull : *value;
}

bool matches(const json::Value& record, const json::Object& where) {
  return std::all_of(where.begin(), where.end(), [&](const auto& wanted) {
    return field_of(record, wanted.first) == wanted.second;
  });
}

int rank_of(const json::Value& value) {
  if (value.is_null()) return 0;
  if (value.is_number()) return 1;
  if (value.is_string()) return 2;
  return value.is_bool() ? 4 : 3;
}

// Any number exactly: a long double holds 64 bits and more. Rounded to doubles, two large whole
// numbers would both be equal to a third without being equal, which std::sort does not survive.
long double number_of(const json::Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data())) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(&value.data())) return *number;
  return value.as_double();
}

bool is_before(const json::Value& a, const json::Value& b) {
  const int rank = rank_of(a);
  if (rank != rank_of(b)) return rank < rank_of(b);
  if (rank == 1) return number_of(a) < number_of(b);
  if (rank == 2) return a.as_string() < b.as_string();
  return rank == 4 && !a.as_bool() && b.as_bool();
}

// Counts the bytes of an answer, or of what it is sorted by.
class Budget {
 public:
  Budget(std::string what, std::string remediation)
      : what_(std::move(what)), remediation_(std::move(remediation)) {}

  void take(std::size_t bytes) {
    used_ += bytes;
    if (used_ <= Entities::kAnswerBytesMax) return;
    throw Error(
        ErrorCode::too_large, "answer_too_large",
        what_ + " take more than " + std::to_string(Entities::kAnswerBytesMax) + " bytes together",
        remediation_);
  }

 private:
  std::string what_;
  std::string remediation_;
  std::size_t used_ = 0;
};

Budget budget_of_records() {
  return {"the records", "ask for fewer with \"limit\" and \"offset\", or narrow \"where\""};
}

// What a record is sorted by. Lists and objects are all equal: nothing of theirs is kept.
struct SortKey {
  json::Value field;
  std::int64_t place = 0;
};

SortKey sort_key(const json::Value& record, const std::string& order_by, std::int64_t place) {
  constexpr int kRankOfLists = 3;
  const json::Value& field = field_of(record, order_by);
  return {rank_of(field) == kRankOfLists ? json::Value(json::Array()) : field, place};
}

std::size_t size_of(const SortKey& key) {
  return sizeof key + (key.field.is_string() ? key.field.as_string().size() : 0);
}

// (std::stable_sort of libstdc++ 12 does not compile without warnings on clang.)
void sort(std::vector<SortKey>& keys, Order order) {
  const bool is_up = order == Order::ascending;
  std::sort(keys.begin(), keys.end(), [is_up](const SortKey& a, const SortKey& b) {
    if (is_before(a.field, b.field)) return is_up;
    if (is_before(b.field, a.field)) return !is_up;
    return a.place < b.place;
  });
}

}  // namespace

json::Value Entities::create(std::string_view entity, const json::Value& data) {
  check_entity(entity);
  check_data(data);
  const std::string id = random_hex(kIdBytes);
  json::Object record;
  record.set("id", id);
  for (const auto& [name, value] : data.as_object()) {
    if (name != "id" && name != "createdAt") record.set(name, value);
  }
  record.set("createdAt", to_iso8601(wall_now()));
  const json::Value result(std::move(record));
  const std::string text = encode(result);
  database_.run("INSERT INTO records (entity, id, body) VALUES (?, ?, ?)", Bytes{entity}, Bytes{id},
                Bytes{text});
  return result;
}

std::vector<json::Value> Entities::query(std::string_view entity, const Query& query) {
  check_entity(entity);
  if (!query.order_by.empty()) return sorted(entity, query);
  std::vector<json::Value> found;
  Budget budget = budget_of_records();
  std::size_t matched = 0;
  Statement statement(database_, "SELECT body FROM records WHERE entity = ? ORDER BY place",
                      Bytes{entity});
  while (found.size() < query.limit && statement.next()) {
    json::Value record = decode(statement.bytes(0));
    if (!matches(record, query.where) || matched++ < query.offset) continue;
    budget.take(statement.bytes(0).size());
    found.push_back(std::move(record));
  }
  return found;
}

// The place of a record is known when all were seen: the records themselves are read then.
std::vector<json::Value> Entities::sorted(std::string_view entity, const Query& query) {
  std::vector<SortKey> keys;
  Budget of_keys("the fields that the records are sorted by", "narrow \"where\"");
  {
    Statement statement(database_, "SELECT place, body FROM records WHERE entity = ?",
                        Bytes{entity});
    while (statement.next()) {
      const json::Value record = decode(statement.bytes(1));
      if (!matches(record, query.where)) continue;
      keys.push_back(sort_key(record, query.order_by, statement.integer(0)));
      of_keys.take(size_of(keys.back()));
    }
  }
  sort(keys, query.order);
  std::vector<json::Value> part;
  Budget budget = budget_of_records();
  for (std::size_t i = query.offset; i < keys.size() && part.size() < query.limit; ++i) {
    Statement statement(database_, "SELECT body FROM records WHERE place = ?", keys[i].place);
    if (!statement.next()) continue;
    budget.take(statement.bytes(0).size());
    part.push_back(decode(statement.bytes(0)));
  }
  return part;
}

std::optional<json::Value> Entities::get(std::string_view entity, std::string_view id) {
  check_entity(entity);
  Statement statement(database_, "SELECT body FROM records WHERE entity = ? AND id = ?",
                      Bytes{entity}, Bytes{id});
  if (!statement.next()) return std::nullopt;
  return decode(statement.bytes(0));
}

std::optional<json::Value> Entities::update(std::string_view entity, std::string_view id,
                                            const json::Value& data) {
  check_data(data);
  Transaction transaction(database_);
  auto record = get(entity, id);
  if (!record) return std::nullopt;
  for (const auto& [name, value] : data.as_object()) {
    if (name != "id" && name != "createdAt") record->as_object().set(name, value);
  }
  const std::string text = encode(*record);
  database_.run("UPDATE records SET body = ? WHERE entity = ? AND id = ?", Bytes{text},
                Bytes{entity}, Bytes{id});
  transaction.commit();
  return record;
}

bool Entities::erase(std::string_view entity, std::string_view id) {
  check_entity(entity);
  return database_.run("DELETE FROM records WHERE entity = ? AND id = ?", Bytes{entity},
                       Bytes{id}) > 0;
}

}  // namespace cellar::store
