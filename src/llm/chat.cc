#include "llm/chat.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "json/json.h"

namespace cellar::llm {
namespace {

constexpr std::size_t kToolNameMax = 128;
constexpr std::size_t kBytesPerToken = 4;

[[noreturn]] void refuse_chat(const std::string& field, const std::string& must) {
  throw Error(ErrorCode::invalid_argument, "invalid_llm_request",
              "ctx.llm.chat: \"" + field + "\" must be " + must);
}

std::string at_index(const std::string& field, std::size_t at) {
  return field + "[" + std::to_string(at) + "]";
}

// The member, where it is there and not null.
const json::Value* given(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text_in(const json::Value& object, const std::string& key, const std::string& place) {
  const json::Value* value = given(object, key);
  if (value == nullptr || !value->is_string()) refuse_chat(place + key, "a text");
  return value->as_string();
}

std::string text_or_none(const json::Value& object, const std::string& key,
                         const std::string& place) {
  return given(object, key) == nullptr ? "" : text_in(object, key, place);
}

const json::Array& list_in(const json::Value& value, const std::string& field, std::size_t max) {
  if (!value.is_array() || value.as_array().size() > max) {
    refuse_chat(field, "a list of at most " + std::to_string(max));
  }
  return value.as_array();
}

Part read_part(const json::Value& value, const std::string& field) {
  if (!value.is_object()) refuse_chat(field, "an object {type, text} or {type, image_url}");
  const std::string type = text_in(value, "type", field + ".");
  if (type == "text") return {Part::Kind::text, text_in(value, "text", field + ".")};
  if (type != "image_url") refuse_chat(field + ".type", "\"text\" or \"image_url\"");
  const json::Value* image = given(value, "image_url");
  if (image == nullptr) refuse_chat(field + ".image_url", "{url}");
  return {Part::Kind::image, text_in(*image, "url", field + ".image_url.")};
}

std::vector<Part> read_parts(const json::Value* content, const std::string& field) {
  if (content == nullptr) return {};
  if (content->is_string()) return {{Part::Kind::text, content->as_string()}};
  if (!content->is_array()) refuse_chat(field, "a text, or a list of parts");
  std::vector<Part> parts;
  for (const json::Value& part : list_in(*content, field, kPartsMax)) {
    parts.push_back(read_part(part, at_index(field, parts.size())));
  }
  return parts;
}

void refuse_other_type(const json::Value& value, const std::string& field) {
  const json::Value* type = given(value, "type");
  if (type != nullptr && (!type->is_string() || type->as_string() != "function")) {
    refuse_chat(field + ".type", "\"function\"");
  }
}

const json::Value& function_in(const json::Value& value, const std::string& field) {
  const json::Value* function = value.is_object() ? given(value, "function") : nullptr;
  if (function == nullptr || !function->is_object()) {
    refuse_chat(field, "{type: \"function\", function: {…}}");
  }
  refuse_other_type(value, field);
  return *function;
}

ToolCall read_tool_call(const json::Value& value, const std::string& field) {
  const json::Value& function = function_in(value, field);
  ToolCall call;
  call.id = text_in(value, "id", field + ".");
  call.name = text_in(function, "name", field + ".function.");
  call.arguments = text_in(function, "arguments", field + ".function.");
  try {
    if (!json::parse(call.arguments).is_object()) throw Error(ErrorCode::invalid_argument, "");
  } catch (const Error&) {
    // Some models write nothing where there are no arguments.
    if (!call.arguments.empty()) {
      refuse_chat(field + ".function.arguments", "the JSON text of an object");
    }
    call.arguments = "{}";
  }
  return call;
}

Message read_message(const json::Value& value, const std::string& field) {
  if (!value.is_object()) refuse_chat(field, "an object {role, content}");
  const std::string role = text_in(value, "role", field + ".");
  Message message;
  if (role == "system" || role == "developer") {
    message.role = Role::system;
  } else if (role == "user") {
    message.role = Role::user;
  } else if (role == "assistant") {
    message.role = Role::assistant;
  } else if (role == "tool") {
    message.role = Role::tool;
  } else {
    refuse_chat(field + ".role", "system, developer, user, assistant or tool");
  }
  message.parts = read_parts(given(value, "content"), field + ".content");
  if (const json::Value* calls = given(value, "tool_calls")) {
    const std::string place = field + ".tool_calls";
    const json::Array& list = list_in(*calls, place, kPartsMax);
    if (!list.empty() && message.role != Role::assistant) {
      refuse_chat(place, "in messages of the assistant only");
    }
    for (const json::Value& call : list) {
      message.tool_calls.push_back(
          read_tool_call(call, at_index(place, message.tool_calls.size())));
    }
  }
  if (message.role == Role::tool) {
    message.tool_call_id = text_in(value, "tool_call_id", field + ".");
  }
  if (message.parts.empty() && message.tool_calls.empty()) {
    refuse_chat(field + ".content", "a text, or a list of parts");
  }
  return message;
}

Tool read_tool(const json::Value& value, const std::string& field) {
  const json::Value& function = function_in(value, field);
  Tool tool;
  const std::string place = field + ".function.";
  tool.name = text_in(function, "name", place);
  if (tool.name.empty() || tool.name.size() > kToolNameMax) {
    refuse_chat(place + "name", "of 1 to " + std::to_string(kToolNameMax) + " bytes");
  }
  tool.description = text_or_none(function, "description", place);
  const json::Value* parameters = given(function, "parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    refuse_chat(place + "parameters", "a JSON schema");
  }
  tool.parameters = parameters != nullptr
                        ? *parameters
                        : json::object({{"type", "object"}, {"properties", json::Object()}});
  return tool;
}

ToolChoice read_tool_choice(const json::Value& value) {
  const std::string text = value.is_string() ? value.as_string() : "";
  if (text == "none") return {ToolChoice::Kind::none, ""};
  if (text == "auto") return {ToolChoice::Kind::automatic, ""};
  if (text == "required") return {ToolChoice::Kind::required, ""};
  if (!value.is_object()) {
    refuse_chat("tool_choice", "none, auto, required, or {type: \"function\", function: {name}}");
  }
  const json::Value& function = function_in(value, "tool_choice");
  return {ToolChoice::Kind::named, text_in(function, "name", "tool_choice.function.")};
}

std::optional<double> number_in(const json::Value& object, const std::string& key, double max) {
  const json::Value* value = given(object, key);
  if (value == nullptr) return std::nullopt;
  const double number = value->as_double();
  if (!value->is_number() || number < 0 || number > max) {
    refuse_chat(key, "a number from 0 to " + std::to_string(static_cast<int>(max)));
  }
  return number;
}

std::optional<std::int64_t> whole_in(const json::Value& object, const std::string& key,
                                     std::int64_t min, std::int64_t max) {
  const json::Value* value = given(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int() || value->as_int() < min || value->as_int() > max) {
    refuse_chat(key, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value->as_int();
}

bool flag_in(const json::Value& object, const std::string& key) {
  const json::Value* value = given(object, key);
  if (value == nullptr) return false;
  if (!value->is_bool()) refuse_chat(key, "true or false");
  return value->as_bool();
}

std::vector<std::string> read_stop(const json::Value* value) {
  if (value == nullptr) return {};
  if (value->is_string()) return {value->as_string()};
  std::vector<std::string> stop;
  for (const json::Value& word : list_in(*value, "stop", kStopsMax)) {
    if (!word.is_string()) refuse_chat("stop", "a text, or a list of texts");
    stop.push_back(word.as_string());
  }
  return stop;
}

json::Object read_extra(const json::Value* value) {
  if (value == nullptr) return {};
  if (!value->is_object()) refuse_chat("extra", "an object");
  // Gateways take some of them for other models than the operator lists, or for what no token
  // counts.
  for (const char* taken : {"model", "messages", "tools", "tool_choice", "system", "stream",
                            "stream_options", "n", "models", "fallbacks", "route", "provider",
                            "plugins", "mcp_servers", "web_search_options"}) {
    if (value->as_object().contains(taken)) {
      refuse_chat("extra",
                  std::string("without \"") + taken + "\", which has another place, or none");
    }
  }
  return value->as_object();
}

void refuse_unknown_options(const json::Value& value) {
  static constexpr std::string_view kKnown[] = {
      "provider",   "model",         "messages",    "tools",  "tool_choice", "stop",
      "extra",      "stream",        "temperature", "top_p",  "on_token",    "max_tokens",
      "timeout_ms", "first_byte_ms", "total_ms",    "retries"};
  for (const auto& [key, member] : value.as_object()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown)) continue;
    throw Error(ErrorCode::invalid_argument, "invalid_llm_request",
                "ctx.llm.chat has no option \"" + key + "\"",
                "what only the provider knows goes into \"extra\"");
  }
}

}  // namespace

ChatRequest read_chat(const json::Value& value) {
  if (!value.is_object()) {
    throw Error(ErrorCode::invalid_argument, "invalid_llm_request",
                "ctx.llm.chat needs an object {messages, …}");
  }
  refuse_unknown_options(value);
  ChatRequest request;
  request.provider = text_or_none(value, "provider", "");
  request.model = text_or_none(value, "model", "");
  if (request.model.size() > kModelNameMax) {
    refuse_chat("model", "a name of at most " + std::to_string(kModelNameMax) + " bytes");
  }
  const json::Value* messages = given(value, "messages");
  if (messages == nullptr || !messages->is_array() || messages->as_array().empty()) {
    refuse_chat("messages", "a list of at least one message");
  }
  for (const json::Value& message : list_in(*messages, "messages", kMessagesMax)) {
    request.messages.push_back(
        read_message(message, at_index("messages", request.messages.size())));
  }
  if (const json::Value* tools = given(value, "tools")) {
    for (const json::Value& tool : list_in(*tools, "tools", kToolsMax)) {
      request.tools.push_back(read_tool(tool, at_index("tools", request.tools.size())));
    }
  }
  if (const json::Value* choice = given(value, "tool_choice")) {
    request.tool_choice = read_tool_choice(*choice);
  }
  request.temperature = number_in(value, "temperature", 2);
  request.top_p = number_in(value, "top_p", 1);
  request.max_tokens = whole_in(value, "max_tokens", 1, std::numeric_limits<int>::max());
  request.stop = read_stop(given(value, "stop"));
  request.extra = read_extra(given(value, "extra"));
  request.streams = flag_in(value, "stream");
  request.tells_agent = flag_in(value, "on_token");
  if (request.tells_agent) request.streams = true;
  const auto time = [&](const char* key) -> std::optional<std::chrono::milliseconds> {
    const auto ms = whole_in(value, key, 1, kChatMsMax);
    return ms ? std::optional(std::chrono::milliseconds(*ms)) : std::nullopt;
  };
  request.attempt_limit = time("timeout_ms").value_or(request.attempt_limit);
  request.first_byte_limit = time("first_byte_ms");
  request.total_limit = time("total_ms");
  const auto retries = whole_in(value, "retries", 0, kRetriesMax);
  if (retries) request.attempts_max = static_cast<std::uint32_t>(*retries + 1);
  return request;
}

json::Value to_json(const Reply& reply, const Usage& usage) {
  json::Array calls;
  for (const ToolCall& call : reply.tool_calls) {
    calls.push_back(json::object(
        {{"id", call.id},
         {"type", "function"},
         {"function", json::object({{"name", call.name}, {"arguments", call.arguments}})}}));
  }
  json::Value used =
      json::object({{"input_tokens", usage.input_tokens}, {"output_tokens", usage.output_tokens}});
  if (usage.is_estimated) used.as_object().set("estimated", true);
  return json::object({{"content", reply.content ? json::Value(*reply.content) : json::Value()},
                       {"tool_calls", std::move(calls)},
                       {"finish_reason", reply.finish_reason},
                       {"usage", std::move(used)},
                       {"model", reply.model}});
}

Usage estimate(std::size_t request_bytes, std::size_t reply_bytes) noexcept {
  return {.input_tokens = request_bytes / kBytesPerToken + 1,
          .output_tokens = (reply_bytes + kBytesPerToken - 1) / kBytesPerToken,
          .is_estimated = true};
}

}  // namespace cellar::llm
