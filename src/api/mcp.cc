#include "api/mcp.h"

#include <algorithm>
#include <boost/system/system_error.hpp>

#include "async/event.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::string_view kSessionHeader = "Mcp-Session-Id";

// A page in a browser must not speak to a daemon that its user can reach and it cannot: it may have
// a name that leads here. Pages of this machine may; a program sends no Origin.
void refuse_pages(const http::Request& request) {
  const std::string* origin = request.header("origin");
  if (origin == nullptr) return;
  std::string host = to_lower_ascii(*origin);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (host.starts_with(scheme)) host.erase(0, scheme.size());
  }
  const std::size_t port = host.rfind(':');
  const bool has_port = port != host.npos && parse_int(host.substr(port + 1));
  if (has_port) host.erase(port);
  if (host == "localhost" || host == "127.0.0.1" || host == "[::1]") return;
  throw Error(ErrorCode::invalid_argument, "origin_refused",
              "pages of \"" + *origin + "\" may not use this",
              "use a client that is no web page, or a page of this machine");
}

void check_type(const http::Request& request) {
  const std::string* type = request.header("content-type");
  const std::string_view name =
      type == nullptr ? std::string_view() : std::string_view(*type).substr(0, type->find(';'));
  if (to_lower_ascii(trim(name)) == "application/json") return;
  throw Error(ErrorCode::invalid_argument, "invalid_header",
              "Content-Type must be application/json");
}

// Clients of the first revision do not say which one they speak.
McpRevision revision_of(const http::Request& request) {
  const std::string* header = request.header("mcp-protocol-version");
  if (header == nullptr) return McpRevision::v2025_03_26;
  const auto revision = parse_revision(trim(*header));
  if (!revision) {
    throw Error(ErrorCode::invalid_argument, "invalid_header",
                "MCP-Protocol-Version \"" + *header + "\" is not spoken here",
                "use 2025-06-18 or 2025-03-26, as initialize has answered");
  }
  return *revision;
}

std::string session_of(const http::Request& request) {
  constexpr std::size_t kSessionBytesMax = 128;
  const std::string* session = request.header("mcp-session-id");
  if (session == nullptr) return {};
  const bool is_visible =
      std::all_of(session->begin(), session->end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (session->empty() || session->size() > kSessionBytesMax || !is_visible) {
    throw Error(ErrorCode::invalid_argument, "invalid_header",
                "Mcp-Session-Id must have 1 to 128 visible characters");
  }
  return *session;
}

json::Value text_block(std::string text) {
  return json::object({{"type", "text"}, {"text", std::move(text)}});
}

json::Value to_json(ToolResult result) {
  if (result.text.empty()) result.text = json::dump(result.structured);
  json::Array content{text_block(std::move(result.text))};
  if (!result.note.empty()) content.push_back(text_block("[" + result.note + "]"));
  json::Value value = json::object({{"content", std::move(content)}});
  json::Object& members = value.as_object();
  if (!result.structured.is_null()) {
    members.set("structuredContent", std::move(result.structured));
  }
  members.set("isError", result.is_error);
  return value;
}

// What to do about it with tools: the API's remedies speak of requests.
std::string remedy_of(const Error& error, ToolList::At at) {
  const std::string& reason = error.reason();
  if (reason == "cell_not_found" && at == ToolList::At::all_cells) {
    return "list_cells lists the cells, create_cell makes one";
  }
  if (reason == "run_not_found") return "list_runs lists the runs";
  if (reason == "not_a_file") return "list_files lists a folder";
  if (reason == "file_not_found" || reason == "not_found") {
    return "list_files and search_code show which files there are";
  }
  if (reason == "invalid_path" || reason == "path_escapes") {
    return "give a path below /work, such as src/main.c";
  }
  return error.remediation();
}

ToolResult refusal(const Error& error, ToolList::At at) {
  ToolResult result;
  result.is_error = true;
  result.text = error.reason() + ": " + error.what();
  if (const std::string remedy = remedy_of(error, at); !remedy.empty()) {
    result.text += "\n" + remedy;
  }
  return result;
}

}  // namespace

// What came with one POST, and what becomes of it.
struct Mcp::Post {
  const Call& call;
  std::string cell_id;  // of an address for one cell; else empty
  std::string session;
  McpRevision revision = McpRevision::v2025_03_26;
  RpcPost rpc;
  std::string answer;  // empty: nothing is to be said
  bool ended = false;  // there is an answer, or nobody wants one any more
  std::exception_ptr failure;
  async::Event* changed = nullptr;

  ToolList::At at() const {
    return cell_id.empty() ? ToolList::At::all_cells : ToolList::At::one_cell;
  }
  bool is_single() const { return !rpc.is_batch && rpc.messages.size() == 1; }
  // Under what the client wants to be told of progress; nullptr where it does not.
  const json::Value* progress_token() const {
    const json::Value* meta = is_single() ? rpc.messages.front().params.find("_meta") : nullptr;
    return meta == nullptr ? nullptr : meta->find("progressToken");
  }
};

Mcp::Post Mcp::read_head(const Call& call) const {
  const http::Request& request = call.exchange.request();
  check_type(request);
  Post post{.call = call};
  const auto cell_id = request.query_value("cell");
  if (cell_id && cell_id->empty()) {  // Not all cells: somebody's variable was not set.
    throw Error(ErrorCode::invalid_argument, "invalid_query", "\"cell\" must be the id of a cell",
                "leave it out for all cells of the key");
  }
  post.cell_id = cell_id.value_or("");
  post.session = session_of(request);
  post.revision = revision_of(request);
  return post;
}

asio::awaitable<void> Mcp::handle(const Call& call) {
  refuse_pages(call.exchange.request());
  Post post = read_head(call);
  cell::Supervisor::CellPtr held;  // It stays open meanwhile.
  if (!post.cell_id.empty()) {
    std::string cell_id = post.cell_id;
    held = co_await call.supervisor.ready(std::move(cell_id));
    call.supervisor.get(call.owner, post.cell_id);
  }
  auto read = [revision = post.revision](const std::string& body) {
    return parse_rpc(body, revision);
  };
  post.rpc = co_await call.read_text(kBodyBytesMax, std::move(read));
  async::Event changed(co_await asio::this_coro::executor);
  post.changed = &changed;
  async::TaskGroup tasks(co_await asio::this_coro::executor);
  const std::string name =
      post.is_single() ? name_of_request(post, post.rpc.messages.front().id) : std::string();
  const bool is_named = !name.empty() && under_way_.emplace(name, &post).second;
  tasks.spawn(answer_all(post));
  std::exception_ptr failure;
  try {
    co_await answer(post);
  } catch (...) {
    failure = std::current_exception();
  }
  if (is_named) under_way_.erase(name);
  // The client left, or cancelled: what it asked for ends with it.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await tasks.close();
  if (failure) std::rethrow_exception(failure);
}

// Sends what answer_all() makes.
asio::awaitable<void> Mcp::answer(Post& post) {
  http::Exchange& exchange = post.call.exchange;
  if (post.call.wants_events()) {
    co_await post.changed->wait_for(kPatience);
  } else {
    co_await post.changed->wait();
  }
  if (post.failure) std::rethrow_exception(post.failure);
  if (post.ended) {
    http::Response response;
    response.status = post.rpc.problem ? 400 : post.answer.empty() ? 202 : 200;
    response.body = std::move(post.answer);
    const RpcMessage* first = post.rpc.messages.empty() ? nullptr : &post.rpc.messages.front();
    if (first != nullptr && first->method == "initialize" && post.session.empty()) {
      response.headers.emplace_back(kSessionHeader, "session_" + random_hex(16));
    }
    co_await exchange.respond(std::move(response));
    co_return;
  }
  co_await exchange.start_stream(event_stream_head());
  const json::Value* token = post.progress_token();
  for (std::int64_t seconds = kPatience.count(); !post.ended; seconds += kPatience.count()) {
    std::string sign_of_life(kHeartbeatComment);
    if (token != nullptr) {
      json::Value progress = json::object({{"progressToken", *token},
                                           {"progress", seconds},
                                           {"message", std::to_string(seconds) + " s"}});
      sign_of_life =
          stream_event("message", rpc_notification("notifications/progress", std::move(progress)));
    }
    co_await exchange.send(std::move(sign_of_life));
    co_await post.changed->wait_for(kPatience);
  }
  if (post.failure) std::rethrow_exception(post.failure);
  if (!post.answer.empty()) co_await exchange.send(stream_event("message", post.answer));
  co_await exchange.finish();
}

asio::awaitable<void> Mcp::answer_all(Post& post) {
  std::vector<std::string> answers;
  if (post.rpc.problem) answers.push_back(rpc_failure({}, *post.rpc.problem));
  try {
    for (RpcMessage& message : post.rpc.messages) {
      if (message.kind == RpcMessage::Kind::broken) {
        answers.push_back(rpc_failure(message.id, message.problem));
      } else if (message.kind == RpcMessage::Kind::request) {
        answers.push_back(co_await answer_request(post, message));
      } else if (message.method == "notifications/cancelled") {
        cancel(post, message);
      }
    }
  } catch (...) {
    post.failure = std::current_exception();
  }
  if (!post.ended) post.answer = rpc_body(answers, post.rpc.is_batch);
  post.ended = true;
  post.changed->set();
}

asio::awaitable<std::string> Mcp::answer_request(const Post& post, RpcMessage& message) {
  if (message.method == "initialize") co_return initialize(message);
  if (message.method == "ping") co_return rpc_result(message.id, json::object({}));
  if (message.method == "tools/list") {
    if (message.params.find("cursor") != nullptr) {
      const RpcError error{kRpcInvalidParams,
                           "\"cursor\" names nothing: all tools are listed at once"};
      co_return rpc_failure(message.id, error);
    }
    json::Value tools = json::object({{"tools", tools_.descriptions(post.at())}});
    co_return rpc_result(message.id, std::move(tools));
  }
  if (message.method == "tools/call") co_return co_await call_tool(post, message);
  const RpcError unknown{kRpcMethodNotFound, "there is no method \"" + message.method + "\""};
  co_return rpc_failure(message.id, unknown);
}

std::string Mcp::initialize(const RpcMessage& message) const {
  const json::Value* wanted = message.params.find("protocolVersion");
  if (wanted == nullptr || !wanted->is_string()) {
    return rpc_failure(message.id,
                       {kRpcInvalidParams, "\"protocolVersion\" must be a string: 2025-06-18"});
  }
  const json::Value server =
      json::object({{"name", "cellar"}, {"title", "Cellar"}, {"version", CELLAR_VERSION}});
  return rpc_result(message.id,
                    json::object({{"protocolVersion", name_of(negotiate(wanted->as_string()))},
                                  {"capabilities", json::object({{"tools", json::object({})}})},
                                  {"serverInfo", server},
                                  {"instructions", tools_.instructions()}}));
}

asio::awaitable<std::string> Mcp::call_tool(const Post& post, RpcMessage& message) {
  const json::Value* name = message.params.find("name");
  json::Value arguments = json::object({});
  if (message.params.is_object()) {
    json::Value* given = message.params.as_object().find("arguments");
    if (given != nullptr && !given->is_null()) arguments = std::move(*given);
  }
  if (name == nullptr || !name->is_string() || !arguments.is_object()) {
    const RpcError error{kRpcInvalidParams,
                         "\"name\" must be a string, and \"arguments\" an object"};
    co_return rpc_failure(message.id, error);
  }
  const ToolList::Found found = tools_.find(name->as_string(), post.at());
  if (found.tool == nullptr) {
    const RpcError error{kRpcInvalidParams,
                         "there is no tool \"" + name->as_string() + "\": tools/list lists them"};
    co_return rpc_failure(message.id, error);
  }
  std::optional<ToolResult> result;
  std::string failure;
  try {
    result = co_await run_tool(post, found, std::move(arguments));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    result = refusal(error, post.at());
  } catch (const boost::system::system_error&) {
    throw;  // The client has left.
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!result) {
    log::warning("{} tool {}: {}", log::request(post.call.request_id), name->as_string(), failure);
    const RpcError error{kRpcInternalError, "the tool failed; its reason is in the daemon's log"};
    co_return rpc_failure(message.id, error);
  }
  co_return rpc_result(message.id, to_json(std::move(*result)));
}

asio::awaitable<ToolResult> Mcp::run_tool(const Post& post, const ToolList::Found& found,
                                          json::Value arguments) {
  const json::Reader reader(arguments, "the arguments");
  const InnerApi api(api_, post.call, post.rpc.bytes);
  ToolCall call{.api = api,
                .arguments = reader,
                .given = arguments.as_object(),
                .cell_id = post.cell_id,
                .edits = edits_};
  if (found.needs_cell && post.cell_id.empty()) call.cell_id = reader.required_string("cell_id");
  if (found.needs_cell && call.cell_id.empty()) json::Reader::refuse("cell_id", "the id of a cell");
  co_return co_await found.tool->run(call);
}

std::string Mcp::name_of_request(const Post& post, const json::Value& id) {
  if (post.session.empty() || id.is_null()) return {};
  return post.call.owner + "\n" + post.session + "\n" + json::dump(id);
}

// There is no answer to a request that is cancelled: handle() ends what is done for it.
void Mcp::cancel(const Post& post, const RpcMessage& notification) {
  const json::Value* id = notification.params.find("requestId");
  if (id == nullptr) return;
  const auto found = under_way_.find(name_of_request(post, *id));
  if (found == under_way_.end()) return;
  found->second->ended = true;
  found->second->changed->set();
}

}  // namespace cellar::api
