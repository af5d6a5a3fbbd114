// Chat completions, as many servers speak them.

#include "llm/dialect_parts.h"

namespace cellar::llm {
namespace {

const char* openai_role(Role role) {
  switch (role) {
    case Role::system:
      return "system";
    case Role::user:
      return "user";
    case Role::assistant:
      return "assistant";
    case Role::tool:
      return "tool";
  }
  return "user";
}

// One text as itself: not every server takes lists of parts.
json::Value openai_content(const std::vector<Part>& parts) {
  if (parts.empty()) return {};
  if (parts.size() == 1 && parts.front().kind == Part::Kind::text) return parts.front().text;
  json::Array list;
  for (const Part& part : parts) {
    if (part.kind == Part::Kind::text) {
      list.push_back(json::object({{"type", "text"}, {"text", part.text}}));
    } else {
      list.push_back(
          json::object({{"type", "image_url"}, {"image_url", json::object({{"url", part.text}})}}));
    }
  }
  return list;
}

json::Value openai_message(const Message& message) {
  json::Value value = json::object(
      {{"role", openai_role(message.role)}, {"content", openai_content(message.parts)}});
  if (!message.tool_calls.empty()) {
    json::Array calls;
    for (const ToolCall& call : message.tool_calls) {
      calls.push_back(json::object(
          {{"id", call.id},
           {"type", "function"},
           {"function", json::object({{"name", call.name}, {"arguments", call.arguments}})}}));
    }
    value.as_object().set("tool_calls", std::move(calls));
  }
  if (message.role == Role::tool) value.as_object().set("tool_call_id", message.tool_call_id);
  return value;
}

json::Value openai_tool(const Tool& tool) {
  json::Value function = json::object({{"name", tool.name}, {"parameters", tool.parameters}});
  if (!tool.description.empty()) function.as_object().set("description", tool.description);
  return json::object({{"type", "function"}, {"function", std::move(function)}});
}

json::Value openai_choice(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none:
      return "none";
    case ToolChoice::Kind::automatic:
      return "auto";
    case ToolChoice::Kind::required:
      return "required";
    case ToolChoice::Kind::named:
      break;
  }
  return json::object({{"type", "function"}, {"function", json::object({{"name", choice.name}})}});
}

std::optional<Usage> openai_usage(const json::Value& value) {
  const json::Value& usage = member(value, "usage");
  if (!usage.is_object()) return std::nullopt;
  return Usage{.input_tokens = member_count(usage, "prompt_tokens"),
               .output_tokens = member_count(usage, "completion_tokens")};
}

class OpenaiStream : public StreamReader {
 public:
  std::string take(const std::string& data) override {
    if (data == "[DONE]") {
      is_done_ = true;
      return {};
    }
    const json::Value event = json::parse(data);
    if (const json::Value& error = member(event, "error"); !error.is_null()) {
      error_ = StreamError{told_error(data), true};
      return {};
    }
    if (std::string model = member_text(event, "model"); !model.empty()) reply_.model = model;
    if (auto usage = openai_usage(event)) reply_.usage = usage;
    const json::Value& choices = member(event, "choices");
    if (!choices.is_array() || choices.as_array().empty()) return {};
    const json::Value& choice = choices.as_array().front();
    if (std::string reason = member_text(choice, "finish_reason"); !reason.empty()) {
      reply_.finish_reason = reason;
    }
    const json::Value& delta = member(choice, "delta");
    take_calls(member(delta, "tool_calls"));
    std::string text = member_text(delta, "content");
    if (member(delta, "content").is_string()) append_text(reply_.content, text);
    return text;
  }

  // Some servers leave the last word out.
  bool is_over() const override { return is_done_; }
  bool has_ended() const override { return is_done_ || !reply_.finish_reason.empty(); }
  Reply reply() const override {
    Reply reply = reply_;
    if (reply.content && reply.content->empty() && !reply.tool_calls.empty()) reply.content.reset();
    return reply;
  }

 private:
  void take_calls(const json::Value& calls) {
    if (!calls.is_array()) return;
    for (const json::Value& call : calls.as_array()) {
      const std::size_t index = member_count(call, "index");
      if (index >= kAnswerPartsMax) throw_no_answer();
      if (reply_.tool_calls.size() <= index) reply_.tool_calls.resize(index + 1);
      ToolCall& known = reply_.tool_calls[index];
      const json::Value& function = member(call, "function");
      if (std::string id = member_text(call, "id"); !id.empty()) known.id = id;
      if (std::string name = member_text(function, "name"); !name.empty()) known.name = name;
      known.arguments += member_text(function, "arguments");
    }
  }

  Reply reply_;
  bool is_done_ = false;
};

class Openai : public Dialect {
 public:
  std::string path() const override { return "/chat/completions"; }

  Headers headers(const std::string& key) const override {
    Headers headers = {{"Content-Type", "application/json"}};
    if (!key.empty()) headers.emplace_back("Authorization", "Bearer " + key);
    return headers;
  }

  std::string body(const ChatRequest& request, const std::string& model) const override {
    json::Object body;
    body.set("model", model);
    json::Array messages;
    for (const Message& message : request.messages) messages.push_back(openai_message(message));
    body.set("messages", std::move(messages));
    if (!request.tools.empty()) {
      json::Array tools;
      for (const Tool& tool : request.tools) tools.push_back(openai_tool(tool));
      body.set("tools", std::move(tools));
    }
    if (request.tool_choice) body.set("tool_choice", openai_choice(*request.tool_choice));
    if (request.temperature) body.set("temperature", *request.temperature);
    if (request.top_p) body.set("top_p", *request.top_p);
    if (request.max_tokens) body.set("max_tokens", *request.max_tokens);
    if (!request.stop.empty()) {
      body.set("stop", json::Array(request.stop.begin(), request.stop.end()));
    }
    for (const auto& [key, value] : request.extra) body.set(key, value);
    if (request.streams) {
      body.set("stream", true);
      body.set("stream_options", json::object({{"include_usage", true}}));
    }
    return json::dump(std::move(body));
  }

  Reply read(const std::string& body) const override {
    const json::Value value = json::parse(body);
    const json::Value& choices = member(value, "choices");
    if (!choices.is_array() || choices.as_array().empty()) throw_no_answer();
    const json::Value& choice = choices.as_array().front();
    const json::Value& message = member(choice, "message");
    if (!message.is_object()) throw_no_answer();
    Reply reply;
    reply.model = member_text(value, "model");
    reply.usage = openai_usage(value);
    reply.finish_reason = member_text(choice, "finish_reason");
    const json::Value& content = member(message, "content");
    if (content.is_string()) reply.content = content.as_string();
    const json::Value& calls = member(message, "tool_calls");
    if (!calls.is_array()) return reply;
    for (const json::Value& call : calls.as_array()) {
      const json::Value& function = member(call, "function");
      reply.tool_calls.push_back({member_text(call, "id"), member_text(function, "name"),
                                  member_text(function, "arguments")});
    }
    return reply;
  }

  std::unique_ptr<StreamReader> stream() const override { return std::make_unique<OpenaiStream>(); }
};

}  // namespace

const Dialect& openai_dialect() noexcept {
  static const Openai kOpenai;
  return kOpenai;
}

}  // namespace cellar::llm
