#include "store/entities.h"

#include <algorithm>
#include <numeric>

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

// Counts the bytes of an answer.
class Budget {
 public:
  void take(std::size_t bytes) {
    used_ += bytes;
    if (used_ <= Entities::kAnswerBytesMax) return;
    throw Error(ErrorCode::too_large, "answer_too_large",
                "the records take more than " + std::to_string(Entities::kAnswerBytesMax) +
                    " bytes together",
                "ask for fewer with \"limit\" and \"offset\", or narrow \"where\"");
  }

 private:
  std::size_t used_ = 0;
};

// The places in `records` in the order that the query asks for. (std::stable_sort of libstdc++ 12
// does not compile without warnings on clang.)
std::vector<std::size_t> sorted_places(const std::vector<json::Value>& records,
                                       const Query& query) {
  std::vector<std::size_t> places(records.size());
  std::iota(places.begin(), places.end(), 0);
  std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    const json::Value& left = field_of(records[a], query.order_by);
    const json::Value& right = field_of(records[b], query.order_by);
    const bool is_up = query.order == Order::ascending;
    if (is_before(left, right)) return is_up;
    if (is_before(right, left)) return !is_up;
    return a < b;
  });
  return places;
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
  const bool is_sorted = !query.order_by.empty();
  // Sorted, the place of a record is known when all are there.
  const std::size_t offset = is_sorted ? 0 : query.offset;
  const std::size_t limit = is_sorted ? SIZE_MAX : query.limit;

  std::vector<json::Value> found;
  Budget budget;
  std::size_t matched = 0;
  Statement statement(database_, "SELECT body FROM records WHERE entity = ? ORDER BY place",
                      Bytes{entity});
  while (found.size() < limit && statement.next()) {
    json::Value record = decode(statement.bytes(0));
    if (!matches(record, query.where) || matched++ < offset) continue;
    budget.take(statement.bytes(0).size());
    found.push_back(std::move(record));
  }
  if (!is_sorted) return found;

  const std::vector<std::size_t> places = sorted_places(found, query);
  std::vector<json::Value> part;
  for (std::size_t i = query.offset; i < places.size() && part.size() < query.limit; ++i) {
    part.push_back(std::move(found[places[i]]));
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
