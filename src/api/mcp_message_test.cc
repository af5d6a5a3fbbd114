#include "api/mcp_message.h"

#include <doctest/doctest.h>

#include "json/json.h"

namespace cellar::api {
namespace {

using Kind = RpcMessage::Kind;

RpcMessage only(std::string_view text) {
  const RpcPost post = parse_rpc(text, McpRevision::v2025_06_18);
  REQUIRE(!post.problem);
  REQUIRE(post.messages.size() == 1);
  return post.messages.front();
}

// The code that all of a post is refused with; 0 where it is not.
int refusal_of(std::string_view text, McpRevision revision = McpRevision::v2025_03_26) {
  const RpcPost post = parse_rpc(text, revision);
  return post.problem ? post.problem->code : 0;
}

std::string batch_of(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += std::string(i == 0 ? "[" : ",") + R"({"jsonrpc":"2.0","method":"ping","id":1})";
  }
  return text + "]";
}

}  // namespace

TEST_CASE("a client gets the revision that it asks for, or else the newest") {
  CHECK(name_of(negotiate("2025-03-26")) == "2025-03-26");
  CHECK(name_of(negotiate("2025-06-18")) == "2025-06-18");
  CHECK(name_of(negotiate("2024-11-05")) == "2025-06-18");
  CHECK(name_of(negotiate("")) == "2025-06-18");
  CHECK(!parse_revision("2024-11-05"));
}

TEST_CASE("a message with an id is a request, one without is a notification") {
  const RpcMessage request = only(R"({"jsonrpc":"2.0","id":"a","method":"x","params":{"y":1}})");
  CHECK(request.kind == Kind::request);
  CHECK(request.id == json::Value("a"));
  CHECK(request.method == "x");
  CHECK(request.params.find("y")->as_int() == 1);
  const RpcMessage notification = only(R"({"jsonrpc":"2.0","method":"x"})");
  CHECK(notification.kind == Kind::notification);
  CHECK(notification.params.is_object());
  CHECK(only(R"({"jsonrpc":"2.0","id":1,"result":{}})").kind == Kind::response);
  CHECK(only(R"({"jsonrpc":"2.0","id":1,"error":{}})").kind == Kind::response);
}

TEST_CASE("what is wrong with a message is told under its id") {
  const auto code = [](std::string_view text) {
    const RpcMessage message = only(text);
    CHECK(message.kind == Kind::broken);
    return message.problem.code;
  };
  CHECK(code("7") == kRpcInvalidRequest);
  CHECK(code(R"({"id":1,"method":"x"})") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"1.0","id":1,"method":"x"})") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"2.0","id":1})") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"2.0","id":1,"method":7})") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"2.0","id":null,"method":"x"})") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"2.0","id":1,"method":"x","params":[1]})") == kRpcInvalidParams);
  CHECK(only(R"({"jsonrpc":"2.0","id":1,"method":"x","params":[1]})").id == json::Value(1));
  const std::string at_limit(kRpcNameBytesMax, 'x');
  CHECK(only(R"({"jsonrpc":"2.0","id":")" + at_limit + R"(","method":")" + at_limit + "\"}").kind ==
        Kind::request);
  CHECK(code(R"({"jsonrpc":"2.0","id":1,"method":"x)" + at_limit + "\"}") == kRpcInvalidRequest);
  CHECK(code(R"({"jsonrpc":"2.0","method":"x","id":"x)" + at_limit + "\"}") == kRpcInvalidRequest);
}

TEST_CASE("only the older revision takes batches, and not any number of messages") {
  CHECK(refusal_of("{") == kRpcParseError);
  CHECK(refusal_of("[]") == kRpcInvalidRequest);
  CHECK(refusal_of(batch_of(1), McpRevision::v2025_06_18) == kRpcInvalidRequest);
  CHECK(refusal_of(batch_of(kRpcBatchMax)) == 0);
  CHECK(refusal_of(batch_of(kRpcBatchMax + 1)) == kRpcInvalidRequest);
  const RpcPost post = parse_rpc("[1," + batch_of(1).substr(1), McpRevision::v2025_03_26);
  CHECK(post.is_batch);
  CHECK(post.messages.at(0).kind == Kind::broken);
  CHECK(post.messages.at(1).kind == Kind::request);
}

TEST_CASE("answers are JSON-RPC, those to a batch a batch") {
  const std::string result = rpc_result(json::Value(3), json::object({{"a", 1}}));
  CHECK(result == R"({"jsonrpc":"2.0","id":3,"result":{"a":1}})");
  const std::string failure = rpc_failure({}, {kRpcParseError, "no"});
  CHECK(failure == R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}})");
  CHECK(rpc_notification("n/x", json::object({})) ==
        R"({"jsonrpc":"2.0","method":"n/x","params":{}})");
  CHECK(rpc_body({}, true).empty());
  CHECK(rpc_body({result}, false) == result);
  CHECK(rpc_body({result}, true) == "[" + result + "]");
  CHECK(json::parse(rpc_body({result, failure}, true)).as_array().size() == 2);
}

}  // namespace cellar::api
