#include "json/reader.h"

#include "base/error.h"

namespace cellar::json {

Reader::Reader(const Value& value, std::string_view what) : value_(value) {
  if (!value.is_object()) {
    throw Error(ErrorCode::invalid_argument, "invalid_body",
                std::string(what) + " must be a JSON object");
  }
}

void Reader::refuse(std::string_view key, std::string_view must) {
  throw Error(ErrorCode::invalid_argument, "invalid_field",
              "\"" + std::string(key) + "\" must be " + std::string(must));
}

const Value* Reader::optional_value(std::string_view key) const noexcept {
  const Value* value = value_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string Reader::required_string(std::string_view key) const {
  auto text = optional_string(key);
  if (!text) refuse(key, "a string, and it is missing");
  return *std::move(text);
}

std::optional<std::string> Reader::optional_string(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(key, "a string");
  return value->as_string();
}

std::optional<bool> Reader::optional_bool(std::string_view key) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) refuse(key, "true or false");
  return value->as_bool();
}

std::optional<std::int64_t> Reader::optional_int(std::string_view key, std::int64_t min,
                                                 std::int64_t max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int() || value->as_int() < min || value->as_int() > max) {
    refuse(key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value->as_int();
}

std::optional<std::vector<std::string>> Reader::optional_strings(std::string_view key,
                                                                 std::size_t count_max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  const std::string must = "a list of at most " + std::to_string(count_max) + " strings";
  if (!value->is_array() || value->as_array().size() > count_max) refuse(key, must);
  std::vector<std::string> list;
  for (const Value& item : value->as_array()) {
    if (!item.is_string()) refuse(key, must);
    list.push_back(item.as_string());
  }
  return list;
}

std::optional<std::map<std::string, std::string>> Reader::optional_string_map(
    std::string_view key, std::size_t count_max) const {
  const Value* value = optional_value(key);
  if (value == nullptr) return std::nullopt;
  const std::string must = "an object of at most " + std::to_string(count_max) + " strings";
  if (!value->is_object() || value->as_object().size() > count_max) refuse(key, must);
  std::map<std::string, std::string> map;
  for (const auto& [name, item] : value->as_object()) {
    if (!item.is_string()) refuse(key, must);
    map[name] = item.as_string();
  }
  return map;
}

}  // namespace cellar::json
