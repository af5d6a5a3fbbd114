#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

namespace cellar::json {

// Typed access to an object that came from outside. Every call throws Error `invalid_argument`,
// reason `invalid_field`, whose text names the field and what it must be. A member that is null
// counts as absent. Keeps a reference: `value` must outlive it.
class Reader {
 public:
  // `what` names the value in errors: "the body".
  Reader(const Value& value, std::string_view what);

  std::string required_string(std::string_view key) const;
  std::optional<std::string> optional_string(std::string_view key) const;
  std::optional<bool> optional_bool(std::string_view key) const;
  // From `min` to `max`, both included.
  std::optional<std::int64_t> optional_int(std::string_view key, std::int64_t min,
                                           std::int64_t max) const;
  std::optional<std::vector<std::string>> optional_strings(std::string_view key,
                                                           std::size_t count_max) const;
  std::optional<std::map<std::string, std::string>> optional_string_map(
      std::string_view key, std::size_t count_max) const;
  // Whatever is there; nullptr where it is absent or null.
  const Value* optional_value(std::string_view key) const noexcept;

  [[noreturn]] static void refuse(std::string_view key, std::string_view must);

 private:
  const Value& value_;
};

}  // namespace cellar::json
