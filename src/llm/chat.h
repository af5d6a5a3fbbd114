#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

// What an agent asks a model, and what it gets: one form, whatever the provider speaks. Values.
namespace cellar::llm {

// A function that the model wants called; `arguments` is JSON text, as the model wrote it.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
};

// A piece of a message: a text, or the URL of an image (also "data:image/png;base64,…").
struct Part {
  enum class Kind : std::uint8_t { text, image };
  Kind kind = Kind::text;
  std::string text;
};

enum class Role : std::uint8_t { system, user, assistant, tool };

struct Message {
  Role role = Role::user;
  std::vector<Part> parts;
  std::vector<ToolCall> tool_calls;  // of the assistant
  std::string tool_call_id;          // of the tool: whose result it is
};

struct Tool {
  std::string name;
  std::string description;
  json::Value parameters;  // a JSON schema
};

struct ToolChoice {
  enum class Kind : std::uint8_t { none, automatic, required, named };
  Kind kind = Kind::automatic;
  std::string name;
};

struct ChatRequest {
  std::string provider;  // its name; empty: the first that has the model
  std::string model;     // empty: the provider's own
  std::vector<Message> messages;
  std::vector<Tool> tools;
  std::optional<ToolChoice> tool_choice;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> max_tokens;
  std::vector<std::string> stop;
  json::Object extra;  // members of the provider's own request, as they are
  bool streams = false;
  bool tells_agent = false;  // each piece of the text goes to the agent, too
  std::chrono::milliseconds attempt_limit{std::chrono::minutes(10)};
  std::optional<std::chrono::milliseconds> first_byte_limit;
  std::optional<std::chrono::milliseconds> total_limit;  // of all attempts
  std::uint32_t attempts_max = 5;
};

inline constexpr std::size_t kRequestBytesMax = 8 << 20;
inline constexpr std::size_t kModelNameMax = 256;
inline constexpr std::size_t kMessagesMax = 10'000;
inline constexpr std::size_t kPartsMax = 1000;  // of a message; its tool calls likewise
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kStopsMax = 16;
inline constexpr std::int64_t kRetriesMax = 20;
inline constexpr std::int64_t kChatMsMax = 24LL * 3'600'000;

// Throws Error `invalid_argument`, reason `invalid_llm_request`, naming the field and what it must
// be.
ChatRequest read_chat(const json::Value& value);

struct Usage {
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  bool is_estimated = false;  // the provider did not tell: some four bytes are a token
  std::uint64_t total() const noexcept { return input_tokens + output_tokens; }
};

struct Reply {
  std::optional<std::string> content;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // stop, length, tool_calls, content_filter, or the provider's word
  std::string model;
  std::optional<Usage> usage;  // as the provider told it
};

// {content, tool_calls, finish_reason, usage, model}.
json::Value to_json(const Reply& reply, const Usage& usage);

// What the provider did not tell.
Usage estimate(std::size_t request_bytes, std::size_t reply_bytes) noexcept;

}  // namespace cellar::llm
