#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "json/json.h"
#include "llm/dialect.h"

// What the dialects share, and nobody else sees.
namespace cellar::llm {

const Dialect& openai_dialect() noexcept;
const Dialect& anthropic_dialect() noexcept;

// Members of JSON that a provider sent: what is not there, or is something else, is empty.
inline const json::Value& member(const json::Value& value, std::string_view key) {
  static const json::Value kNothing;
  const json::Value* found = value.find(key);
  return found == nullptr ? kNothing : *found;
}

inline std::string member_text(const json::Value& value, std::string_view key) {
  const json::Value& found = member(value, key);
  return found.is_string() ? found.as_string() : std::string();
}

inline std::uint64_t member_count(const json::Value& value, std::string_view key) {
  const json::Value& found = member(value, key);
  return found.is_int() && found.as_int() > 0 ? static_cast<std::uint64_t>(found.as_int()) : 0;
}

// In place: an answer comes in many pieces.
inline void append_text(std::optional<std::string>& text, std::string_view more) {
  if (!text) text.emplace();
  text->append(more);
}

[[noreturn]] inline void throw_no_answer() {
  throw Error(ErrorCode::invalid_argument, "llm_bad_answer",
              "the provider's answer is none of its kind");
}

// A list index that a provider sent, as it grows one by one.
inline constexpr std::size_t kAnswerPartsMax = 1000;

}  // namespace cellar::llm
