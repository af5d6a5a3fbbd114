#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// The part of CBOR (RFC 8949) that record bodies need, in its deterministic form (section 4.2.1):
// shortest heads, definite lengths, map keys sorted and unique. Keys are text. Floating-point
// numbers always take 8 bytes. No tags. No record has a list, a negative or broken number or null
// today: a member with one that a later version adds is read, and left out.
namespace cellar::journal::cbor {

class Value;

struct Null {
  bool operator==(const Null&) const = default;
};
// The number -1 - n.
struct Negative {
  std::uint64_t n = 0;
  bool operator==(const Negative&) const = default;
};
struct Bytes {
  std::string bytes;
  bool operator==(const Bytes&) const = default;
};
using Array = std::vector<Value>;
using Entry = std::pair<std::string, Value>;
using Map = std::vector<Entry>;

class Value {
 public:
  Value() = default;
  Value(Null) {}
  Value(bool value) : value_(value) {}
  Value(std::uint64_t value) : value_(value) {}
  Value(std::uint32_t value) : value_(std::uint64_t{value}) {}
  Value(std::int64_t value);
  Value(Negative value) : value_(value) {}
  Value(double value) : value_(value) {}
  Value(Bytes value) : value_(std::move(value)) {}
  Value(std::string value) : value_(std::move(value)) {}
  Value(const char* value) : value_(std::string(value)) {}
  Value(Array value);
  Value(Map value);

  // The alternative, or nullptr where the value is of another kind.
  template <typename T>
  const T* as() const noexcept {
    return std::get_if<T>(&value_);
  }
  // The value at `key` of a map, or nullptr.
  const Value* find(std::string_view key) const noexcept;

  bool operator==(const Value& other) const;

 private:
  friend void encode_to(std::string& out, const Value& value);
  std::variant<Null, bool, std::uint64_t, Negative, double, Bytes, std::string, Array, Map> value_;
};

// How deep arrays and maps may be nested in each other.
inline constexpr int kDepthMax = 16;

// Sorts the keys of maps. Text that is not UTF-8 is written as a byte string, which keeps it whole.
// Equal keys in one map are a bug.
std::string encode(const Value& value);

// The value that `bytes` hold, all of them. nullopt for anything encode() does not write: another
// form of the same value, more depth, what is left over. Never throws for hostile bytes and takes
// memory in proportion to them.
std::optional<Value> decode(std::string_view bytes);

}  // namespace cellar::journal::cbor
