#include "json/reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "json/json.h"

namespace cellar::json {

Reader::Reader(const Value& value, std::string_view what) : value_(value), what_(what) {
  if (!value.is_object()) {
    throw Error(ErrorCode::invalid_argument, "invalid_body", what_ + " must be a JSON object");
  }
}

void Reader::refuse(std::string_view key, std::string_view must) {
  throw Error(ErrorCode::invalid_argument, "invalid_field",
              "\"" + std::string(key) + "\" must be " + std::string(must));
}

void Reader::refuse_unknown() const {
  for (const auto& [key, value] : value_.as_object()) {
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    const UnknownName unknown = describe_unknown(key, asked_);
    throw Error(ErrorCode::invalid_argument, "invalid_field",
                what_ + " has the unknown field \"" + name_of(unknown.shown) + "\"",
                unknown.remedy);
  }
}

const Value* Reader::optional_value(std::string_view key) const {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  const Value* value = value_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string Reader::optional_json(std::string_view key, std::string_view otherwise) const {
  const Value* value = optional_value(key);
  return value == nullptr ? std::string(otherwise) : dump(*value);
}

std::string Reader::required_json(std::string_view key) const {
  if (value_.find(key) == nullptr) refuse(name_of(key), "given, and it is missing");
  return optional_json(key, "null");
}

const Value& Reader::required_value(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) refuse(name_of(key), "given, and it is missing");
  return *value;
}

std::string Reader::required_string(std::string_view key) const {
  auto text = optional_string(key);
  if (!text) refuse(name_of(key), "a string, and it is missing");
  return *std::move(text);
}

std::optional<std::string> Reader::optional_string(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(name_of(key), "a string");
  return value->as_string();
}

bool Reader::required_bool(std::string_view key) const {
  const auto flag = optional_bool(key);
  if (!flag) refuse(name_of(key), "true or false, and it is missing");
  return *flag;
}

std::optional<bool> Reader::optional_bool(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) refuse(name_of(key), "true or false");
  return value->as_bool();
}

std::int64_t Reader::required_int(std::string_view key, std::int64_t min, std::int64_t max) const {
  const auto number = optional_int(key, min, max);
  if (!number) refuse(name_of(key), "a whole number, and it is missing");
  return *number;
}

std::optional<std::int64_t> Reader::optional_int(std::string_view key, std::int64_t min,
                                                 std::int64_t max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  // 5.0 is the whole number 5: other languages write it so. Beyond 2^53 a double is not exact.
  const double number = value->as_double();
  const bool whole_double = value->is_number() && number >= -0x1p53 && number <= 0x1p53 &&
                            *value == Value(static_cast<std::int64_t>(number));
  const std::int64_t whole = value->is_int() ? value->as_int()
                             : whole_double  ? static_cast<std::int64_t>(number)
                                             : 0;
  if ((!value->is_int() && !whole_double) || whole < min || whole > max) {
    refuse(name_of(key),
           "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return whole;
}

std::optional<std::vector<std::string>> Reader::optional_strings(std::string_view key,
                                                                 std::size_t count_max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  const std::string must = "a list of at most " + std::to_string(count_max) + " strings";
  if (!value->is_array() || value->as_array().size() > count_max) refuse(name_of(key), must);
  std::vector<std::string> list;
  for (const Value& item : value->as_array()) {
    if (!item.is_string()) refuse(name_of(key), must);
    list.push_back(item.as_string());
  }
  return list;
}

std::optional<std::map<std::string, std::string>> Reader::optional_string_map(
    std::string_view key, std::size_t count_max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  const std::string must = "an object of at most " + std::to_string(count_max) + " strings";
  if (!value->is_object() || value->as_object().size() > count_max) refuse(name_of(key), must);
  std::map<std::string, std::string> map;
  for (const auto& [name, item] : value->as_object()) {
    if (!item.is_string()) refuse(name_of(key), must);
    map[name] = item.as_string();
  }
  return map;
}

std::optional<Reader> Reader::optional_object(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) refuse(name_of(key), "an object");
  Reader inner(*value, what_);
  inner.prefix_ = name_of(key) + ".";
  return inner;
}

}  // namespace cellar::json
