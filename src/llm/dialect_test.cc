#include "llm/dialect.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "json/json.h"

namespace cellar::llm {
namespace {

// The answer and the text as it came, of a stream's events.
std::pair<std::string, std::string> streamed(Kind kind, const std::vector<std::string>& events) {
  const auto reader = dialect_of(kind).stream();
  std::string text;
  for (const std::string& event : events) {
    CHECK_FALSE(reader->has_ended());
    text += reader->take(event);
  }
  CHECK(reader->has_ended());
  const Reply reply = reader->reply();
  return {json::dump(to_json(reply, reply.usage.value_or(Usage()))), text};
}

std::string whole(Kind kind, const std::string& body) {
  const Reply reply = dialect_of(kind).read(body);
  return json::dump(to_json(reply, reply.usage.value_or(Usage())));
}

}  // namespace

TEST_CASE("an OpenAI-compatible answer is the same whole and in pieces") {
  const std::string answer =
      R"({"content":"Hi there","tool_calls":[{"id":"c1","type":"function","function":)"
      R"({"name":"f","arguments":"{\"a\":1}"}}],"finish_reason":"tool_calls",)"
      R"("usage":{"input_tokens":5,"output_tokens":7},"model":"m-2"})";
  CHECK(whole(Kind::openai,
              R"({"model":"m-2","choices":[{"finish_reason":"tool_calls","message":{"role":)"
              R"("assistant","content":"Hi there","tool_calls":[{"id":"c1","type":"function",)"
              R"("function":{"name":"f","arguments":"{\"a\":1}"}}]}}],)"
              R"("usage":{"prompt_tokens":5,"completion_tokens":7}})") == answer);
  const auto [reply, text] = streamed(
      Kind::openai,
      {R"({"model":"m-2","choices":[{"delta":{"role":"assistant","content":""}}]})",
       R"({"choices":[{"delta":{"content":"Hi "}}]})",
       R"({"choices":[{"delta":{"content":"there"}}]})",
       R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f",)"
       R"("arguments":""}}]}}]})",
       R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}}]})",
       R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]})",
       R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}})",
       R"({"choices":[{"delta":{},"finish_reason":"tool_calls"}]})"});
  CHECK(reply == answer);
  CHECK(text == "Hi there");
}

TEST_CASE("an Anthropic answer is the same whole and in pieces") {
  const std::string answer =
      R"({"content":"Hi there","tool_calls":[{"id":"c1","type":"function","function":)"
      R"({"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":)"
      R"({"name":"g","arguments":"{}"}}],"finish_reason":"tool_calls",)"
      R"("usage":{"input_tokens":9,"output_tokens":7},"model":"m-2"})";
  CHECK(whole(Kind::anthropic,
              R"({"type":"message","model":"m-2","content":[{"type":"text","text":"Hi there"},)"
              R"({"type":"tool_use","id":"c1","name":"f","input":{"a":1}},)"
              R"({"type":"tool_use","id":"c2","name":"g","input":{}}],"stop_reason":"tool_use",)"
              R"("usage":{"input_tokens":5,"cache_read_input_tokens":4,"output_tokens":7}})") ==
        answer);
  const auto [reply, text] = streamed(
      Kind::anthropic,
      {R"({"type":"message_start","message":{"model":"m-2","usage":{"input_tokens":5,)"
       R"("cache_read_input_tokens":4,"output_tokens":1}}})",
       R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})",
       R"({"type":"ping"})",
       R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi "}})",
       R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"there"}})",
       R"({"type":"content_block_stop","index":0})",
       R"({"type":"content_block_start","index":1,"content_block":{"type":"tool_use",)"
       R"("id":"c1","name":"f","input":{}}})",
       R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
       R"("partial_json":"{\"a\""}})",
       R"({"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",)"
       R"("partial_json":":1}"}})",
       R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use",)"
       R"("id":"c2","name":"g","input":{}}})",
       R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}})",
       R"({"type":"message_stop"})"});
  CHECK(reply == answer);
  CHECK(text == "Hi there");
}

TEST_CASE("what is no answer, or an error in a stream, is told apart") {
  for (const Kind kind : {Kind::openai, Kind::anthropic}) {
    CHECK_THROWS_AS(dialect_of(kind).read("{}"), Error);
    CHECK_THROWS_AS(dialect_of(kind).read("<html>"), Error);
    CHECK_THROWS_AS(dialect_of(kind).stream()->take("nonsense"), Error);
  }
  const auto error_of = [](Kind kind, const std::string& event) {
    const auto reader = dialect_of(kind).stream();
    reader->take(event);
    REQUIRE(reader->error());
    return reader->error()->message + (reader->error()->is_passing ? ", passing" : "");
  };
  CHECK(error_of(Kind::openai, R"({"error":{"message":"overload"}})") == "overload, passing");
  CHECK(error_of(Kind::anthropic,
                 R"({"type":"error","error":{"type":"overloaded_error","message":"full"}})") ==
        "full, passing");
  CHECK(error_of(Kind::anthropic,
                 R"({"type":"error","error":{"type":"invalid_request_error","message":"no"}})") ==
        "no");
  CHECK(told_error(R"({"error":"plain"})") == "plain");
  CHECK(told_error(R"({"message":"top"})") == "top");
  CHECK(told_error("<html>").empty());
  // A server that counts calls from the moon does not fill the memory.
  CHECK_THROWS_AS(dialect_of(Kind::openai)
                      .stream()
                      ->take(R"({"choices":[{"delta":{"tool_calls":[{"index":999999999}]}}]})"),
                  Error);
}

TEST_CASE("the key goes into one header, and none is sent without one") {
  CHECK(dialect_of(Kind::openai).headers("k").back() ==
        std::pair<std::string, std::string>("Authorization", "Bearer k"));
  CHECK(dialect_of(Kind::anthropic).headers("k").back() ==
        std::pair<std::string, std::string>("x-api-key", "k"));
  CHECK(dialect_of(Kind::openai).headers("").size() == 1);
}

}  // namespace cellar::llm
