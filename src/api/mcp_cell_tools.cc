// Tools for cells, their states and the runs of their agents.

#include <initializer_list>

#include "api/mcp_text.h"
#include "api/mcp_tools.h"
#include "base/percent.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::int64_t kListedMax = 100;
constexpr std::int64_t kWaitMaxS = 3600;

ToolResult result_of(json::Value structured) {
  ToolResult result;
  result.structured = std::move(structured);
  return result;
}

// These members of a value, where it has them.
json::Value only(const json::Value& value, std::initializer_list<const char*> keys) {
  json::Object members;
  for (const char* key : keys) {
    if (const json::Value* member = value.find(key)) members.set(key, *member);
  }
  return json::Value(std::move(members));
}

asio::awaitable<ToolResult> create_cell_tool(const ToolCall& call) {
  json::Object settings;
  settings.set("customer_id", call.arguments.required_string("customer_id"));
  for (const char* key :
       {"tier", "image", "allow", "agent", "agent_language", "permanent", "idle_timeout_s"}) {
    if (const json::Value* value = call.arguments.optional_value(key)) settings.set(key, *value);
  }
  call.expect_no_more();
  InnerApi::Request request{.method = "POST", .path = "/api/v1/cells"};
  request.body = json::Value(std::move(settings));
  co_return result_of(co_await call.api.ask(std::move(request)));
}

// The query of a list: `limit` and `cursor`.
void ask_for_page(const ToolCall& call, std::int64_t limit, InnerApi::Request& request) {
  limit = call.arguments.optional_int("limit", 1, kListedMax).value_or(limit);
  request.query["limit"] = std::to_string(limit);
  if (auto cursor = call.arguments.optional_string("cursor")) request.query["cursor"] = *cursor;
  call.expect_no_more();
}

asio::awaitable<ToolResult> list_cells_tool(const ToolCall& call) {
  constexpr std::int64_t kLimitDefault = 50;
  InnerApi::Request request{.path = "/api/v1/cells"};
  ask_for_page(call, kLimitDefault, request);
  json::Value list = co_await call.api.ask(std::move(request));
  for (json::Value& cell : list.as_object()["cells"].as_array()) {
    cell = only(cell, {"cell_id", "customer_id", "state", "tier", "created_at", "last_active_at"});
  }
  co_return result_of(std::move(list));
}

asio::awaitable<ToolResult> get_cell_tool(const ToolCall& call) {
  call.expect_no_more();
  InnerApi::Request request{.path = call.cell_path()};
  co_return result_of(co_await call.api.ask(std::move(request)));
}

asio::awaitable<ToolResult> pause_cell_tool(const ToolCall& call) {
  call.expect_no_more();
  InnerApi::Request request{.method = "POST", .path = call.cell_path("/pause")};
  co_return result_of(co_await call.api.ask(std::move(request)));
}

asio::awaitable<ToolResult> resume_cell_tool(const ToolCall& call) {
  call.expect_no_more();
  InnerApi::Request request{.method = "POST", .path = call.cell_path("/resume")};
  co_return result_of(co_await call.api.ask(std::move(request)));
}

asio::awaitable<ToolResult> delete_cell_tool(const ToolCall& call) {
  call.expect_no_more();
  InnerApi::Request request{.method = "DELETE", .path = call.cell_path()};
  co_await call.api.ask(std::move(request));
  co_return result_of(json::object({{"cell_id", call.cell_id}, {"deleted", true}}));
}

asio::awaitable<ToolResult> list_runs_tool(const ToolCall& call) {
  constexpr std::int64_t kLimitDefault = 20;
  InnerApi::Request request{.path = call.cell_path("/runs")};
  ask_for_page(call, kLimitDefault, request);
  co_return result_of(co_await call.api.ask(std::move(request)));
}

// A run with no more than a model has room for: large values as the beginning and the end of their
// JSON, and the newest steps.
ToolResult shown_run(json::Value run) {
  constexpr std::size_t kValueBytesMax = 32 << 10;
  constexpr std::size_t kStepsShown = 50;
  json::Object& members = run.as_object();
  ToolResult result;
  for (const char* key : {"params", "result", "error", "detail"}) {
    json::Value* value = members.find(key);
    if (value == nullptr) continue;
    std::string text = json::dump(*value);
    if (text.size() <= kValueBytesMax) continue;
    *value = clip_middle(text, kValueBytesMax);
    result.note += "\"" + std::string(key) + "\" is shown as text, and not all of it: it has " +
                   std::to_string(text.size()) + " bytes. ";
  }
  if (json::Value* steps = members.find("steps")) {
    json::Array& list = steps->as_array();
    if (list.size() > kStepsShown) {
      const std::size_t left_out = list.size() - kStepsShown;
      list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(left_out));
      members.set("steps_left_out", left_out);
    }
  }
  const std::string status = members.find("status")->as_string();
  if (status == "running" || status == "waiting") {
    result.note += "The run goes on: get_run with wait_s waits for it.";
  }
  result.structured = std::move(run);
  return result;
}

asio::awaitable<ToolResult> settled_run(const ToolCall& call, std::string run_id,
                                        std::int64_t wait_s) {
  InnerApi::Request request;
  request.path = call.cell_path("/runs/" + encode_segment(run_id));
  const std::string whole = "GET " + request.path;
  if (wait_s > 0) {
    request.path += "/await";
    request.query["timeout"] = std::to_string(wait_s);
  }
  try {
    co_return co_await call.api.ask_for(std::move(request), shown_run);
  } catch (const Error& error) {
    if (error.reason() != "answer_too_large") throw;
    throw Error(error.code(), error.reason(), "run " + run_id + ": " + error.what(),
                whole + " has all of it");
  }
}

asio::awaitable<ToolResult> get_run_tool(const ToolCall& call) {
  std::string run_id = call.arguments.required_string("run_id");
  const std::int64_t wait_s = call.arguments.optional_int("wait_s", 0, kWaitMaxS).value_or(0);
  call.expect_no_more();
  co_return co_await settled_run(call, std::move(run_id), wait_s);
}

asio::awaitable<ToolResult> call_agent_tool(const ToolCall& call) {
  constexpr std::int64_t kWaitDefaultS = 60;
  json::Object body;
  body.set("method", call.arguments.required_string("method"));
  if (call.arguments.optional_value("params") != nullptr) {
    body.set("params", std::move(*call.given.find("params")));
  }
  const std::int64_t wait_s =
      call.arguments.optional_int("wait_s", 0, kWaitMaxS).value_or(kWaitDefaultS);
  InnerApi::Request request{.method = "POST", .path = call.cell_path("/runs")};
  if (auto key = call.arguments.optional_string("idempotency_key")) {
    request.headers["idempotency-key"] = *key;
  }
  call.expect_no_more();
  request.body = json::Value(std::move(body));
  const json::Value run = co_await call.api.ask(std::move(request));
  std::string run_id = run.find("id")->as_string();
  ToolResult result = co_await settled_run(call, std::move(run_id), wait_s);
  const std::string& status = result.structured.find("status")->as_string();
  result.is_error = status == "failed" || status == "cancelled";
  co_return result;
}

}  // namespace

std::vector<Tool> cell_tools() {
  return {{"create_cell", create_cell_tool}, {"list_cells", list_cells_tool},
          {"get_cell", get_cell_tool},       {"pause_cell", pause_cell_tool},
          {"resume_cell", resume_cell_tool}, {"delete_cell", delete_cell_tool},
          {"list_runs", list_runs_tool},     {"get_run", get_run_tool},
          {"call_agent", call_agent_tool}};
}

}  // namespace cellar::api
