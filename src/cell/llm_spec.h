#pragma once

#include <optional>

#include "json/value.h"
#include "llm/providers.h"

namespace cellar::cell {

// What a cell may ask of the daemon's models.
struct LlmSpec {
  bool is_allowed = true;
  std::optional<llm::Budget> budget;  // nullopt: the daemon's own, where it has one
  bool operator==(const LlmSpec&) const = default;
};
json::Value to_json(const LlmSpec& spec);
// false, true, or {enabled?, budget?}. Throws Error `invalid_argument`, naming the field.
LlmSpec read_llm(const json::Value& value);

}  // namespace cellar::cell
