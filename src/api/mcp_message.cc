#include "api/mcp_message.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::array kRevisions = {
    std::pair(McpRevision::v2025_03_26, std::string_view("2025-03-26")),
    std::pair(McpRevision::v2025_06_18, std::string_view("2025-06-18"))};

constexpr json::ParseLimits kMessageLimits{.value_count_max = 1'000'000};

RpcError invalid_request(std::string message) { return {kRpcInvalidRequest, std::move(message)}; }

bool is_id(const json::Value& value) {
  return value.is_number() || (value.is_string() && value.as_string().size() <= kRpcNameBytesMax);
}

// The id is known from here on: what is wrong otherwise is told under it.
RpcMessage broken(json::Value id, RpcError problem) {
  RpcMessage message;
  message.id = std::move(id);
  message.problem = std::move(problem);
  return message;
}

RpcMessage read_message(const json::Value& value) {
  if (!value.is_object()) return broken({}, invalid_request("a message must be an object"));
  const json::Value* id = value.find("id");
  if (id != nullptr && !is_id(*id)) {
    return broken({}, invalid_request("\"id\" must be a number, or a string of at most 256 bytes"));
  }
  RpcMessage message;
  if (id != nullptr) message.id = *id;
  const json::Value* version = value.find("jsonrpc");
  if (version == nullptr || !version->is_string() || version->as_string() != "2.0") {
    return broken(message.id, invalid_request("\"jsonrpc\" must be \"2.0\""));
  }
  const json::Value* method = value.find("method");
  if (method == nullptr && id != nullptr &&
      (value.find("result") != nullptr || value.find("error") != nullptr)) {
    message.kind = RpcMessage::Kind::response;
    return message;
  }
  if (method == nullptr || !method->is_string() || method->as_string().size() > kRpcNameBytesMax) {
    return broken(message.id, invalid_request("\"method\" must be a string of at most 256 bytes"));
  }
  message.method = method->as_string();
  const json::Value* params = value.find("params");
  message.params = params == nullptr || params->is_null() ? json::object({}) : *params;
  if (!message.params.is_object()) {
    return broken(message.id, {kRpcInvalidParams, "\"params\" must be an object"});
  }
  message.kind = id == nullptr ? RpcMessage::Kind::notification : RpcMessage::Kind::request;
  return message;
}

RpcPost refused(RpcError problem) {
  RpcPost post;
  post.problem = std::move(problem);
  return post;
}

json::Value envelope(const json::Value& id) {
  return json::object({{"jsonrpc", "2.0"}, {"id", id}});
}

}  // namespace

std::string_view name_of(McpRevision revision) noexcept {
  for (const auto& [known, name] : kRevisions) {
    if (known == revision) return name;
  }
  return "";
}

std::optional<McpRevision> parse_revision(std::string_view name) noexcept {
  for (const auto& [revision, known] : kRevisions) {
    if (known == name) return revision;
  }
  return std::nullopt;
}

McpRevision negotiate(std::string_view wanted) noexcept {
  return parse_revision(wanted).value_or(kRevisions.back().first);
}

bool has_batches(McpRevision revision) noexcept { return revision == McpRevision::v2025_03_26; }

RpcPost parse_rpc(std::string_view text, McpRevision revision) {
  json::Value value;
  try {
    value = json::parse(text, kMessageLimits);
  } catch (const Error& error) {
    return refused({kRpcParseError, error.what()});
  }
  RpcPost post;
  post.bytes = text.size();
  if (!value.is_array()) {
    post.messages.push_back(read_message(value));
    return post;
  }
  if (!has_batches(revision)) {
    return refused(invalid_request("revision " + std::string(name_of(revision)) +
                                   " has no batches: send each message by itself"));
  }
  const json::Array& batch = value.as_array();
  if (batch.empty() || batch.size() > kRpcBatchMax) {
    return refused(invalid_request("a batch has 1 to 64 messages"));
  }
  post.is_batch = true;
  for (const json::Value& item : batch) post.messages.push_back(read_message(item));
  return post;
}

std::string rpc_result(const json::Value& id, json::Value result) {
  json::Value message = envelope(id);
  message.as_object().set("result", std::move(result));
  return json::dump(message);
}

std::string rpc_failure(const json::Value& id, const RpcError& error) {
  json::Value message = envelope(id);
  message.as_object().set("error",
                          json::object({{"code", error.code}, {"message", error.message}}));
  return json::dump(message);
}

std::string rpc_notification(std::string_view method, json::Value params) {
  return json::dump(
      json::object({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}}));
}

std::string rpc_body(const std::vector<std::string>& answers, bool is_batch) {
  if (answers.empty()) return {};
  if (!is_batch) return answers.front();
  std::string body;
  for (const std::string& answer : answers) body += (body.empty() ? "[" : ",") + answer;
  return body + "]";
}

}  // namespace cellar::api
