#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

// The messages of the Model Context Protocol as values: JSON-RPC 2.0, and which revision of the
// protocol is spoken. Pure.
namespace cellar::api {

enum class McpRevision : std::uint8_t { v2025_03_26, v2025_06_18 };
std::string_view name_of(McpRevision revision) noexcept;
// nullopt for one that is not spoken here.
std::optional<McpRevision> parse_revision(std::string_view name) noexcept;
// What a client that asks for `wanted` is offered: that, or else the newest.
McpRevision negotiate(std::string_view wanted) noexcept;
// Only the older revision has batches.
bool has_batches(McpRevision revision) noexcept;

struct RpcError {
  int code = 0;
  std::string message;
};
inline constexpr int kRpcParseError = -32700;
inline constexpr int kRpcInvalidRequest = -32600;
inline constexpr int kRpcMethodNotFound = -32601;
inline constexpr int kRpcInvalidParams = -32602;
inline constexpr int kRpcInternalError = -32603;

struct RpcMessage {
  enum class Kind : std::uint8_t {
    request,       // is to be answered
    notification,  // is not
    response,      // to a request of ours, and there are none
    broken,        // is answered by `problem`
  };
  Kind kind = Kind::broken;
  json::Value id;  // a string or a number; null where there is none
  std::string method;
  json::Value params;  // an object
  RpcError problem;
};

struct RpcPost {
  std::vector<RpcMessage> messages;
  bool is_batch = false;  // so is the answer, then
  std::size_t bytes = 0;  // of its text
  // What is wrong with all of it; there are no messages then.
  std::optional<RpcError> problem;
};

inline constexpr std::size_t kRpcBatchMax = 64;       // messages of a batch
inline constexpr std::size_t kRpcNameBytesMax = 256;  // of a method, and of an id

// Reads what one POST holds. Never throws for what is in it.
RpcPost parse_rpc(std::string_view text, McpRevision revision);

std::string rpc_result(const json::Value& id, json::Value result);
std::string rpc_failure(const json::Value& id, const RpcError& error);
std::string rpc_notification(std::string_view method, json::Value params);
// Answers to one POST as its body; empty where there are none.
std::string rpc_body(const std::vector<std::string>& answers, bool is_batch);

}  // namespace cellar::api
