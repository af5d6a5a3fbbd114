#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <string>

#include "api/call.h"
#include "api/mcp_message.h"
#include "api/mcp_tools.h"

namespace cellar::api {

// The Model Context Protocol over HTTP (docs/guide/mcp.md): one POST holds a message, its answer is
// JSON, or an event stream once it takes long. Nothing is kept between two requests: a session is a
// name under which a client cancels its requests. Loop thread only.
class Mcp {
 public:
  static constexpr std::size_t kBodyBytesMax = 16 << 20;
  // Who takes event streams gets one where the answer is not there by then, and a sign of life as
  // often.
  static constexpr std::chrono::seconds kPatience{3};

  // `api` answers what the tools ask for.
  explicit Mcp(InnerApi::Handler api) : api_(std::move(api)) {}
  Mcp(const Mcp&) = delete;
  Mcp& operator=(const Mcp&) = delete;

  // POST /mcp, or /mcp?cell=ID. Throws Error.
  asio::awaitable<void> handle(const Call& call);

 private:
  struct Post;
  Post read_head(const Call& call) const;
  asio::awaitable<void> answer(Post& post);
  asio::awaitable<void> answer_all(Post& post);
  asio::awaitable<std::string> answer_request(const Post& post, RpcMessage& message);
  asio::awaitable<std::string> call_tool(const Post& post, RpcMessage& message);
  asio::awaitable<ToolResult> run_tool(const Post& post, const ToolList::Found& found,
                                       json::Value arguments);
  std::string initialize(const RpcMessage& message) const;
  // Under what a request can be cancelled; empty where it cannot.
  static std::string name_of_request(const Post& post, const json::Value& id);
  void cancel(const Post& post, const RpcMessage& notification);

  const InnerApi::Handler api_;
  const ToolList tools_;
  EditTurns edits_;
  std::map<std::string, Post*> under_way_;
};

}  // namespace cellar::api
