// Messages, as Anthropic's API has them.

#include "base/text.h"
#include "llm/dialect_parts.h"

namespace cellar::llm {
namespace {

constexpr const char* kApiVersion = "2023-06-01";
constexpr std::int64_t kUsualMaxTokens = 4096;  // It asks for a number.

json::Value text_block(const std::string& text) {
  return json::object({{"type", "text"}, {"text", text}});
}

// "data:image/png;base64,…" as bytes, anything else as an address.
json::Value image_block(const std::string& url) {
  constexpr std::string_view kMark = ";base64,";
  const std::size_t mark = url.find(kMark);
  json::Value source = json::object({{"type", "url"}, {"url", url}});
  if (url.starts_with("data:") && mark != url.npos) {
    source = json::object({{"type", "base64"},
                           {"media_type", url.substr(5, mark - 5)},
                           {"data", url.substr(mark + kMark.size())}});
  }
  return json::object({{"type", "image"}, {"source", std::move(source)}});
}

json::Array blocks_of(const std::vector<Part>& parts) {
  json::Array blocks;
  for (const Part& part : parts) {
    // It takes no empty texts.
    if (part.kind == Part::Kind::image) {
      blocks.push_back(image_block(part.text));
    } else if (!part.text.empty()) {
      blocks.push_back(text_block(part.text));
    }
  }
  return blocks;
}

json::Array blocks_of(const Message& message) {
  json::Array blocks = blocks_of(message.parts);
  if (message.role == Role::tool) {
    json::Value result = json::object({{"type", "tool_result"},
                                       {"tool_use_id", message.tool_call_id},
                                       {"content", std::move(blocks)}});
    return {std::move(result)};
  }
  for (const ToolCall& call : message.tool_calls) {
    blocks.push_back(json::object({{"type", "tool_use"},
                                   {"id", call.id},
                                   {"name", call.name},
                                   {"input", json::parse(call.arguments)}}));
  }
  return blocks;
}

// Messages of the user and of the assistant in turns: results of tools are the user's, and all of
// one turn stand in one message.
json::Array turns_of(const std::vector<Message>& messages) {
  json::Array turns;
  for (const Message& message : messages) {
    if (message.role == Role::system) continue;
    const char* role = message.role == Role::assistant ? "assistant" : "user";
    json::Array blocks = blocks_of(message);
    if (blocks.empty()) continue;
    if (!turns.empty() && member_text(turns.back(), "role") == role) {
      json::Array& known = turns.back().as_object()["content"].as_array();
      for (json::Value& block : blocks) known.push_back(std::move(block));
      continue;
    }
    turns.push_back(json::object({{"role", role}, {"content", std::move(blocks)}}));
  }
  return turns;
}

std::string system_of(const std::vector<Message>& messages) {
  std::string text;
  for (const Message& message : messages) {
    if (message.role != Role::system) continue;
    for (const Part& part : message.parts) {
      if (part.kind != Part::Kind::text) continue;
      if (!text.empty()) text += "\n\n";
      text += part.text;
    }
  }
  return text;
}

json::Value anthropic_choice(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none:
      return json::object({{"type", "none"}});
    case ToolChoice::Kind::automatic:
      return json::object({{"type", "auto"}});
    case ToolChoice::Kind::required:
      return json::object({{"type", "any"}});
    case ToolChoice::Kind::named:
      break;
  }
  return json::object({{"type", "tool"}, {"name", choice.name}});
}

std::string finish_of(const std::string& stop_reason) {
  if (stop_reason == "end_turn" || stop_reason == "stop_sequence") return "stop";
  if (stop_reason == "max_tokens") return "length";
  if (stop_reason == "tool_use") return "tool_calls";
  if (stop_reason == "refusal") return "content_filter";
  return stop_reason;
}

// What was read from a cache was an input, too.
void take_usage(const json::Value& usage, std::optional<Usage>& known) {
  if (!usage.is_object()) return;
  if (!known) known.emplace();
  const std::uint64_t input = member_count(usage, "input_tokens") +
                              member_count(usage, "cache_creation_input_tokens") +
                              member_count(usage, "cache_read_input_tokens");
  if (input > 0) known->input_tokens = input;
  if (usage.find("output_tokens") != nullptr) {
    known->output_tokens = member_count(usage, "output_tokens");
  }
}

bool is_passing_error(const std::string& type) {
  return type == "overloaded_error" || type == "api_error" || type == "rate_limit_error" ||
         type == "timeout_error";
}

class AnthropicStream : public StreamReader {
 public:
  std::string take(const std::string& data) override {
    const json::Value event = json::parse(data);
    const std::string type = member_text(event, "type");
    if (type == "message_start") {
      const json::Value& message = member(event, "message");
      reply_.model = member_text(message, "model");
      take_usage(member(message, "usage"), reply_.usage);
    } else if (type == "content_block_start") {
      return begin_block(event);
    } else if (type == "content_block_delta") {
      return take_delta(event);
    } else if (type == "message_delta") {
      reply_.finish_reason = finish_of(member_text(member(event, "delta"), "stop_reason"));
      take_usage(member(event, "usage"), reply_.usage);
    } else if (type == "message_stop") {
      has_ended_ = true;
    } else if (type == "error") {
      error_ = StreamError{told_error(data),
                           is_passing_error(member_text(member(event, "error"), "type"))};
    }
    return {};
  }

  bool has_ended() const override { return has_ended_; }
  Reply reply() const override {
    Reply reply = reply_;
    for (ToolCall& call : reply.tool_calls) {
      if (call.arguments.empty()) call.arguments = "{}";
    }
    return reply;
  }

 private:
  std::string add_text(std::string text) {
    append_text(reply_.content, text);
    return text;
  }

  std::string begin_block(const json::Value& event) {
    const json::Value& block = member(event, "content_block");
    const std::string type = member_text(block, "type");
    call_of_block_.reset();
    if (type == "text") return add_text(member_text(block, "text"));
    if (type != "tool_use") return {};
    if (reply_.tool_calls.size() >= kAnswerPartsMax) throw_no_answer();
    call_of_block_ = reply_.tool_calls.size();
    reply_.tool_calls.push_back({member_text(block, "id"), member_text(block, "name"), ""});
    return {};
  }

  // Blocks come one after the other.
  std::string take_delta(const json::Value& event) {
    const json::Value& delta = member(event, "delta");
    const std::string type = member_text(delta, "type");
    if (type == "text_delta") return add_text(member_text(delta, "text"));
    if (type == "input_json_delta" && call_of_block_) {
      reply_.tool_calls[*call_of_block_].arguments += member_text(delta, "partial_json");
    }
    return {};
  }

  Reply reply_;
  std::optional<std::size_t> call_of_block_;
  bool has_ended_ = false;
};

class Anthropic : public Dialect {
 public:
  std::string path() const override { return "/messages"; }

  Headers headers(const std::string& key) const override {
    Headers headers = {{"Content-Type", "application/json"}, {"anthropic-version", kApiVersion}};
    if (!key.empty()) headers.emplace_back("x-api-key", key);
    return headers;
  }

  std::string body(const ChatRequest& request, const std::string& model) const override {
    json::Object body;
    body.set("model", model);
    body.set("max_tokens", request.max_tokens.value_or(kUsualMaxTokens));
    if (std::string system = system_of(request.messages); !system.empty()) {
      body.set("system", std::move(system));
    }
    body.set("messages", turns_of(request.messages));
    if (!request.tools.empty()) {
      json::Array tools;
      for (const Tool& tool : request.tools) {
        json::Value value = json::object({{"name", tool.name}, {"input_schema", tool.parameters}});
        if (!tool.description.empty()) value.as_object().set("description", tool.description);
        tools.push_back(std::move(value));
      }
      body.set("tools", std::move(tools));
    }
    if (request.tool_choice) body.set("tool_choice", anthropic_choice(*request.tool_choice));
    if (request.temperature) body.set("temperature", *request.temperature);
    if (request.top_p) body.set("top_p", *request.top_p);
    if (!request.stop.empty()) {
      body.set("stop_sequences", json::Array(request.stop.begin(), request.stop.end()));
    }
    for (const auto& [key, value] : request.extra) body.set(key, value);
    if (request.streams) body.set("stream", true);
    return json::dump(std::move(body));
  }

  Reply read(const std::string& body) const override {
    const json::Value value = json::parse(body);
    const json::Value& content = member(value, "content");
    if (!content.is_array()) throw_no_answer();
    Reply reply;
    reply.model = member_text(value, "model");
    reply.finish_reason = finish_of(member_text(value, "stop_reason"));
    take_usage(member(value, "usage"), reply.usage);
    for (const json::Value& block : content.as_array()) {
      const std::string type = member_text(block, "type");
      if (type == "text") append_text(reply.content, member_text(block, "text"));
      if (type != "tool_use") continue;
      reply.tool_calls.push_back({member_text(block, "id"), member_text(block, "name"),
                                  json::dump(member(block, "input"))});
    }
    return reply;
  }

  std::unique_ptr<StreamReader> stream() const override {
    return std::make_unique<AnthropicStream>();
  }
};

}  // namespace

const Dialect& anthropic_dialect() noexcept {
  static const Anthropic kAnthropic;
  return kAnthropic;
}

}  // namespace cellar::llm
