#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llm/chat.h"

namespace cellar::llm {

// What a provider speaks: "openai" (POST …/chat/completions), "anthropic" (POST …/messages).
enum class Kind : std::uint8_t { openai, anthropic };

// An error that a provider tells within an answer that began well.
struct StreamError {
  std::string message;
  bool is_passing = false;  // the same request may succeed later
};

// Puts an answer together out of a stream's events.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  // The text that the event adds to the answer; `data` is that of one event. Throws Error
  // `invalid_argument` for what is no JSON.
  virtual std::string take(const std::string& data) = 0;
  // Nothing more of the answer follows.
  virtual bool has_ended() const = 0;
  // Nothing at all follows, a count of tokens neither.
  virtual bool is_over() const { return has_ended(); }
  // Of what has come; the usage is what was told by then.
  virtual Reply reply() const = 0;
  const std::optional<StreamError>& error() const noexcept { return error_; }

 protected:
  StreamReader() = default;
  std::optional<StreamError> error_;
};

class Dialect {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  virtual ~Dialect() = default;
  virtual std::string path() const = 0;
  // With the key, which may be empty: none is sent then.
  virtual Headers headers(const std::string& key) const = 0;
  // The body of the request, JSON text.
  virtual std::string body(const ChatRequest& request, const std::string& model) const = 0;
  // Throws Error `invalid_argument` for what is no answer.
  virtual Reply read(const std::string& body) const = 0;
  virtual std::unique_ptr<StreamReader> stream() const = 0;
};

const Dialect& dialect_of(Kind kind) noexcept;

// What a provider says in the body of an answer that is an error; "" where it says nothing.
std::string told_error(const std::string& body);

}  // namespace cellar::llm
