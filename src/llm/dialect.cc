#include "llm/dialect.h"

#include "llm/dialect_parts.h"

namespace cellar::llm {

const Dialect& dialect_of(Kind kind) noexcept {
  return kind == Kind::openai ? openai_dialect() : anthropic_dialect();
}

std::string told_error(const std::string& body) {
  try {
    const json::Value value = json::parse(body);
    const json::Value& error = member(value, "error");
    if (error.is_string()) return error.as_string();
    return error.is_object() ? member_text(error, "message") : member_text(value, "message");
  } catch (const Error&) {
    return {};
  }
}

}  // namespace cellar::llm
