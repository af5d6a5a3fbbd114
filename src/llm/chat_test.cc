#include "llm/chat.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"
#include "llm/dialect.h"

namespace cellar::llm {
namespace {

std::string refusal_of(const std::string& text) {
  try {
    read_chat(json::parse(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "taken";
}

std::string body_of(Kind kind, const std::string& text) {
  return dialect_of(kind).body(read_chat(json::parse(text)), "m-1");
}

// A conversation with all that a message can be.
constexpr const char* kTalk = R"({
  "messages": [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [
      {"type": "text", "text": "what is it?"},
      {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
      {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]},
    {"role": "assistant", "content": null, "tool_calls": [
      {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
      {"id": "t2", "type": "function", "function": {"name": "look", "arguments": ""}}]},
    {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
    {"role": "tool", "tool_call_id": "t2", "content": "a dog"},
    {"role": "user", "content": "sure?"},
    {"role": "assistant", "content": "yes", "tool_calls": []}],
  "tools": [{"type": "function", "function": {"name": "look", "description": "looks",
             "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}}}}],
  "tool_choice": {"type": "function", "function": {"name": "look"}},
  "temperature": 0.5, "top_p": 1, "max_tokens": 9, "stop": ["X"],
  "stream": true, "extra": {"seed": 7}})";

}  // namespace

TEST_CASE("a request for an OpenAI-compatible server") {
  CHECK(body_of(Kind::openai, kTalk) ==
        R"({"model":"m-1","messages":[{"role":"system","content":"be brief"},)"
        R"({"role":"user","content":[{"type":"text","text":"what is it?"},)"
        R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAE="}},)"
        R"({"type":"image_url","image_url":{"url":"https://a.example/x.png"}}]},)"
        R"({"role":"assistant","content":null,"tool_calls":[)"
        R"({"id":"t1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}},)"
        R"({"id":"t2","type":"function","function":{"name":"look","arguments":"{}"}}]},)"
        R"({"role":"tool","content":"a cat","tool_call_id":"t1"},)"
        R"({"role":"tool","content":"a dog","tool_call_id":"t2"},)"
        R"({"role":"user","content":"sure?"},{"role":"assistant","content":"yes"}],)"
        R"("tools":[{"type":"function","function":{"name":"look","parameters":)"
        R"({"type":"object","properties":{"at":{"type":"integer"}}},"description":"looks"}}],)"
        R"("tool_choice":{"type":"function","function":{"name":"look"}},)"
        R"("temperature":0.5,"top_p":1,"max_tokens":9,"stop":["X"],"seed":7,)"
        R"("stream":true,"stream_options":{"include_usage":true}})");
}

TEST_CASE("the same for Anthropic: one system text, turns of blocks, results of tools together") {
  CHECK(body_of(Kind::anthropic, kTalk) ==
        R"({"model":"m-1","max_tokens":9,"system":"be brief","messages":[)"
        R"({"role":"user","content":[{"type":"text","text":"what is it?"},)"
        R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAE="}},)"
        R"({"type":"image","source":{"type":"url","url":"https://a.example/x.png"}}]},)"
        R"({"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look",)"
        R"("input":{"at":1}},)"
        R"({"type":"tool_use","id":"t2","name":"look","input":{}}]},)"
        R"({"role":"user","content":[)"
        R"({"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a cat"}]},)"
        R"({"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"a dog"}]},)"
        R"({"type":"text","text":"sure?"}]},)"
        R"({"role":"assistant","content":[{"type":"text","text":"yes"}]}],)"
        R"("tools":[{"name":"look","input_schema":)"
        R"({"type":"object","properties":{"at":{"type":"integer"}}},"description":"looks"}],)"
        R"("tool_choice":{"type":"tool","name":"look"},)"
        R"("temperature":0.5,"top_p":1,"stop_sequences":["X"],"seed":7,"stream":true})");
  CHECK(body_of(Kind::anthropic,
                R"({"messages":[{"role":"user","content":"a"}],"tool_choice":"required"})") ==
        R"({"model":"m-1","max_tokens":4096,"messages":[{"role":"user","content":)"
        R"([{"type":"text","text":"a"}]}],"tool_choice":{"type":"any"}})");
}

TEST_CASE("a wrong field is refused by its name") {
  const auto with = [](const std::string& rest) {
    return R"({"messages":[{"role":"user","content":"a"}],)" + rest + "}";
  };
  CHECK(refusal_of("[]") == "ctx.llm.chat needs an object {messages, …}");
  CHECK(refusal_of("{}") == "ctx.llm.chat: \"messages\" must be a list of at least one message");
  CHECK(refusal_of(R"({"messages":[{"role":"user","content":"a"},{"role":"bot"}]})") ==
        "ctx.llm.chat: \"messages[1].role\" must be system, developer, user, assistant or tool");
  CHECK(refusal_of(R"({"messages":[{"role":"user"}]})") ==
        "ctx.llm.chat: \"messages[0].content\" must be a text, or a list of parts");
  CHECK(refusal_of(R"({"messages":[{"role":"user","content":[{"type":"sound"}]}]})") ==
        "ctx.llm.chat: \"messages[0].content[0].type\" must be \"text\" or \"image_url\"");
  CHECK(refusal_of(R"({"messages":[{"role":"tool","content":"a"}]})") ==
        "ctx.llm.chat: \"messages[0].tool_call_id\" must be a text");
  CHECK(refusal_of(R"({"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":)"
                   R"({"name":"f","arguments":"[1]"}}]}]})") ==
        "ctx.llm.chat: \"messages[0].tool_calls[0].function.arguments\" must be the JSON text of "
        "an object");
  CHECK(refusal_of(with("\"model\":\"" + std::string(257, 'm') + "\"")) ==
        "ctx.llm.chat: \"model\" must be a name of at most 256 bytes");
  CHECK(refusal_of(with(R"("temperature":3)")) ==
        "ctx.llm.chat: \"temperature\" must be a number from 0 to 2");
  CHECK(refusal_of(with(R"("max_tokens":0)")).find("\"max_tokens\" must be") != std::string::npos);
  CHECK(refusal_of(with(R"("retries":21)")).find("\"retries\" must be") != std::string::npos);
  CHECK(refusal_of(with(R"("stream":1)")) == "ctx.llm.chat: \"stream\" must be true or false");
  CHECK(refusal_of(with(R"("stop":[1])")).find("\"stop\" must be") != std::string::npos);
  CHECK(refusal_of(with(R"("tools":[{"type":"x","function":{"name":"f"}}])")) ==
        "ctx.llm.chat: \"tools[0].type\" must be \"function\"");
  CHECK(refusal_of(with(R"("tool_choice":"maybe")")).find("\"tool_choice\" must be") !=
        std::string::npos);
  CHECK(refusal_of(with(R"("extra":{"model":"x"})")).find("without \"model\"") !=
        std::string::npos);
  CHECK(refusal_of(with(R"("maxTokens":1)")) == "ctx.llm.chat has no option \"maxTokens\"");
}

TEST_CASE("messages, tools and parts have limits") {
  const auto many = [](const std::string& one, std::size_t count) {
    std::string list = "[" + one;
    for (std::size_t at = 1; at < count; ++at) list += "," + one;
    return list + "]";
  };
  const std::string message = R"({"role":"user","content":"a"})";
  const std::string tool = R"({"function":{"name":"f"}})";
  const auto with = [&](std::size_t messages, std::size_t tools) {
    return R"({"messages":)" + many(message, messages) + R"(,"tools":)" + many(tool, tools) + "}";
  };
  CHECK(refusal_of(with(kMessagesMax, kToolsMax)) == "taken");
  CHECK(refusal_of(with(kMessagesMax + 1, 1)).find("\"messages\" must be") != std::string::npos);
  CHECK(refusal_of(with(1, kToolsMax + 1)).find("\"tools\" must be") != std::string::npos);
}

}  // namespace cellar::llm
