#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

namespace cellar::json {

// Typed access to an object that came from outside. Every call throws Error `invalid_argument`,
// reason `invalid_field`, whose text names the field and what it must be: "limit" must be a whole
// number from 1 to 100. A member that is null counts as absent.
//
// Keeps a reference: the value must outlive it. Belongs to one thread.
class Reader {
 public:
  static constexpr std::size_t kCountMax = 1024;

  // `what` names the value in errors: "the body". Throws with reason `invalid_body` where `value`
  // is no object.
  Reader(const Value& value, std::string_view what);

  std::string required_string(std::string_view key) const;
  bool required_bool(std::string_view key) const;
  // From `min` to `max`, both included.
  std::int64_t required_int(std::string_view key, std::int64_t min, std::int64_t max) const;
  // Whatever is there, but null.
  const Value& required_value(std::string_view key) const;

  std::optional<std::string> optional_string(std::string_view key) const;
  std::optional<bool> optional_bool(std::string_view key) const;
  std::optional<std::int64_t> optional_int(std::string_view key, std::int64_t min,
                                           std::int64_t max) const;
  std::optional<std::vector<std::string>> optional_strings(std::string_view key,
                                                           std::size_t count_max = kCountMax) const;
  std::optional<std::map<std::string, std::string>> optional_string_map(
      std::string_view key, std::size_t count_max = kCountMax) const;
  // An object in the object; errors name its fields "outer.inner".
  std::optional<Reader> optional_object(std::string_view key) const;
  // Whatever is there; nullptr where it is absent or null.
  const Value* optional_value(std::string_view key) const;

  // As JSON text what must be there, which may be null.
  std::string required_json(std::string_view key) const;
  // As JSON text whatever is there; `otherwise` where it is absent or null.
  std::string optional_json(std::string_view key, std::string_view otherwise) const;

  // Throws where the object has a member that was never asked for. Call it last.
  void refuse_unknown() const;

  // `"key" must be MUST`.
  [[noreturn]] static void refuse(std::string_view key, std::string_view must);

 private:
  std::string name_of(std::string_view key) const { return prefix_ + std::string(key); }

  const Value& value_;
  std::string what_;
  std::string prefix_;  // of names in errors: "outer."
  mutable std::vector<std::string> asked_;
};

}  // namespace cellar::json
