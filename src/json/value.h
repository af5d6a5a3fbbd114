#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace cellar::json {

class Value;
using Array = std::vector<Value>;

// The members of an object, in the order in which they came. A key is there once: setting it again
// replaces its value in place. Small objects are searched one by one, large ones by a hash whose
// seed differs in each process, so that nobody can choose keys that make it slow.
class Object {
 public:
  using Member = std::pair<std::string, Value>;
  using Iterator = std::vector<Member>::const_iterator;

  Object() noexcept;
  Object(const Object& other);
  Object(Object&& other) noexcept;
  Object& operator=(const Object& other);
  Object& operator=(Object&& other) noexcept;
  ~Object();

  const Value* find(std::string_view key) const noexcept;
  Value* find(std::string_view key) noexcept;
  bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }
  // The member of that name; a null one is made where there was none.
  Value& operator[](std::string_view key);
  void set(std::string key, Value value);
  // False where there was none. Takes time in proportion to size().
  bool erase(std::string_view key);

  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  Iterator begin() const noexcept;
  Iterator end() const noexcept;

  // The order of members does not count.
  bool operator==(const Object& other) const noexcept;

 private:
  struct Index;

  std::size_t place_of(std::string_view key) const noexcept;
  Value& append(std::string key, Value value);
  void reindex();

  std::vector<Member> members_;
  std::unique_ptr<Index> index_;  // null for small objects
};

// One JSON value. Whole numbers keep their 64 bits; a double is what else was a number.
class Value {
 public:
  Value() noexcept = default;
  Value(std::nullptr_t) noexcept {}
  Value(bool value) noexcept : data_(value) {}
  Value(int value) noexcept : data_(std::int64_t{value}) {}
  Value(long value) noexcept : data_(std::int64_t{value}) {}
  Value(long long value) noexcept : data_(static_cast<std::int64_t>(value)) {}
  Value(unsigned value) noexcept : data_(std::int64_t{value}) {}
  Value(unsigned long value) noexcept { set_unsigned(value); }
  Value(unsigned long long value) noexcept { set_unsigned(value); }
  Value(double value) noexcept : data_(value) {}
  Value(const char* text) : data_(std::string(text)) {}
  Value(std::string_view text) : data_(std::string(text)) {}
  Value(std::string text) noexcept : data_(std::move(text)) {}
  Value(Array items) noexcept : data_(std::move(items)) {}
  Value(Object members) noexcept : data_(std::move(members)) {}
  // A pointer is not a bool.
  template <typename T>
    requires(!std::is_same_v<std::remove_const_t<T>, char>)
  Value(T*) = delete;

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(data_); }
  // A whole number that fits int64.
  bool is_int() const noexcept { return std::holds_alternative<std::int64_t>(data_); }
  bool is_number() const noexcept {
    return is_int() || std::holds_alternative<std::uint64_t>(data_) ||
           std::holds_alternative<double>(data_);
  }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(data_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(data_); }
  bool is_object() const noexcept { return std::holds_alternative<Object>(data_); }

  // The caller has asked is_…() before.
  bool as_bool() const { return std::get<bool>(data_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(data_); }
  const std::string& as_string() const { return std::get<std::string>(data_); }
  const Array& as_array() const { return std::get<Array>(data_); }
  Array& as_array() { return std::get<Array>(data_); }
  const Object& as_object() const { return std::get<Object>(data_); }
  Object& as_object() { return std::get<Object>(data_); }
  // Any number; 0 for anything else.
  double as_double() const noexcept;

  // The member of an object; nullptr where it has none, or where this is no object.
  const Value* find(std::string_view key) const noexcept;

  // Numbers are equal by what they count, however they are held: 1 == 1.0.
  bool operator==(const Value& other) const noexcept;

  const auto& data() const noexcept { return data_; }

 private:
  void set_unsigned(std::uint64_t value) noexcept {
    if (value <= static_cast<std::uint64_t>(INT64_MAX)) {
      data_ = static_cast<std::int64_t>(value);
    } else {
      data_ = value;
    }
  }

  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      data_;
};

// object({{"a", 1}, {"b", "x"}}) and array({1, 2}): no pitfall of nested braces.
Value object(std::initializer_list<std::pair<std::string_view, Value>> members);
Value array(std::initializer_list<Value> items);

}  // namespace cellar::json
