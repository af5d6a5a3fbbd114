// Tools for what is in a cell: its files, its shell, its code.

#include "api/mcp_text.h"
#include "api/mcp_tools.h"
#include "base/error.h"
#include "base/percent.h"
#include "base/text.h"
#include "json/json.h"

namespace cellar::api {
namespace {

constexpr std::size_t kOutputShownMax = 30'000;     // bytes of stdout, and of stderr
constexpr std::int64_t kOutputBytesMax = 1 << 20;   // that a command may write, of each
constexpr std::int64_t kTimeoutMaxS = 3600;         // of a command
constexpr std::size_t kTextFileBytesMax = 4 << 20;  // that is read as a text
constexpr std::size_t kEntriesShownMax = 1000;      // of a folder

// ---- exec ----

std::string ending_of(const json::Value& result, std::int64_t timeout_s) {
  const auto is_set = [&result](const char* key) {
    const json::Value* flag = result.find(key);
    return flag != nullptr && flag->as_bool();
  };
  std::string text = "exit code " + json::dump(*result.find("exit_code")) + ", after " +
                     json::dump(*result.find("duration_ms")) + " ms";
  if (is_set("timed_out")) {
    text += "; killed after " + std::to_string(timeout_s) +
            " s: give a larger timeout_s, or do less at once";
  }
  if (is_set("oom")) text += "; killed for want of memory: get_cell shows the cell's limits";
  if (is_set("disk_full")) text += "; killed, as the cell's disk is full: delete something";
  if (is_set("lost")) text += "; the cell was stopped under it: run it again";
  return text;
}

ToolResult shown_command(json::Value result, std::int64_t timeout_s) {
  json::Object& members = result.as_object();
  bool truncated = members["truncated"].as_bool();
  ToolResult shown;
  for (const char* stream : {"stdout", "stderr"}) {
    std::string text = members[stream].as_string();
    if (text.size() > kOutputShownMax) {
      truncated = true;
      text = clip_middle(text, kOutputShownMax);
    }
    if (!text.empty() && stream == std::string_view("stderr")) shown.text += "[stderr]\n";
    shown.text += text;
    if (!text.empty() && text.back() != '\n') shown.text += '\n';
    members[stream] = std::move(text);
  }
  if (members["truncated"].as_bool()) {
    shown.text += "[what it wrote beyond 1 MiB is lost: redirect it to a file]\n";
  }
  shown.text += "[" + ending_of(result, timeout_s) + "]";
  members.set("truncated", truncated);
  shown.structured = std::move(result);
  return shown;
}

asio::awaitable<ToolResult> exec_tool(const ToolCall& call) {
  constexpr std::int64_t kTimeoutDefaultS = 120;
  constexpr std::int64_t kMillis = 1000;
  json::Object body;
  body.set("cmd", call.arguments.required_string("command"));
  const std::int64_t timeout_s =
      call.arguments.optional_int("timeout_s", 1, kTimeoutMaxS).value_or(kTimeoutDefaultS);
  body.set("timeout_ms", timeout_s * kMillis);
  body.set("limits", json::object({{"output_bytes", kOutputBytesMax}}));
  for (const char* key : {"cwd", "stdin", "env"}) {
    if (const json::Value* value = call.arguments.optional_value(key)) body.set(key, *value);
  }
  call.expect_no_more();
  InnerApi::Request request{.method = "POST", .path = call.cell_path("/exec")};
  request.body = json::Value(std::move(body));
  co_return shown_command(co_await call.api.ask(std::move(request)), timeout_s);
}

// ---- files ----

// Below /work, also where it is said to be there.
std::string work_path(std::string path) {
  constexpr std::string_view kWork = "/work";
  if (path == kWork || path == "/work/") return ".";
  if (path.starts_with("/work/")) path.erase(0, kWork.size() + 1);
  return path;
}

std::string file_path(const ToolCall& call, const std::string& path) {
  if (path.empty()) json::Reader::refuse("path", "a path below /work");
  return call.cell_path("/files/" + encode_path(path));
}

asio::awaitable<std::string> read_text(const ToolCall& call, std::string path) {
  InnerApi::Request request{.path = file_path(call, path)};
  std::optional<Error> failure;
  std::string text;
  try {
    text = co_await call.api.send(std::move(request), kTextFileBytesMax);
  } catch (const Error& error) {
    if (error.reason() != "answer_too_large") throw;
    failure = error;
  }
  if (failure || text.size() > kTextFileBytesMax) {
    throw Error(ErrorCode::too_large, "file_too_large", path + " has more than 4 MiB",
                "look at a part of it with exec: sed -n '1,200p', grep -n, tail -c");
  }
  if (!is_valid_utf8(text) || text.find('\0') != text.npos) {
    throw Error(ErrorCode::invalid_argument, "not_a_text",
                path + " is no text: " + std::to_string(text.size()) + " bytes that are not UTF-8",
                "look at it with exec: file, xxd | head");
  }
  co_return text;
}

asio::awaitable<void> write_text(const ToolCall& call, std::string path, std::string text) {
  InnerApi::Request request{.method = "PUT", .path = file_path(call, path)};
  request.bytes = std::move(text);
  co_await call.api.ask(std::move(request));
}

asio::awaitable<ToolResult> read_file_tool(const ToolCall& call) {
  const std::string path = work_path(call.arguments.required_string("path"));
  const std::int64_t first = call.arguments.optional_int("start_line", 1, INT32_MAX).value_or(1);
  const std::int64_t last = call.arguments.optional_int("end_line", first, INT32_MAX).value_or(0);
  call.expect_no_more();
  const std::string text = co_await read_text(call, path);
  const ShownLines lines =
      show_lines(text, static_cast<std::size_t>(first), static_cast<std::size_t>(last));
  ToolResult result;
  result.text = lines.text;
  if (lines.total == 0) result.text = "(the file is empty)";
  if (lines.is_cut) {
    result.note = "Line " + std::to_string(lines.last) +
                  " is too long to be shown: look at the rest with exec and cut -c.";
  } else if (lines.truncated || lines.first > 1 || lines.last < lines.total) {
    result.note = "Lines " + std::to_string(lines.first) + " to " + std::to_string(lines.last) +
                  " of " + std::to_string(lines.total) + ".";
    if (lines.truncated) {
      result.note += " Go on with start_line " + std::to_string(lines.last + 1) + ".";
    }
  }
  result.structured = json::object({{"path", path},
                                    {"content", lines.text},
                                    {"start_line", lines.first},
                                    {"end_line", lines.last},
                                    {"total_lines", lines.total},
                                    {"truncated", lines.truncated}});
  co_return result;
}

asio::awaitable<ToolResult> write_file_tool(const ToolCall& call) {
  const std::string path = work_path(call.arguments.required_string("path"));
  std::string text = call.arguments.required_string("content");
  call.expect_no_more();
  const std::size_t size = text.size();
  const auto turns = call.edits.of(call.cell_id, co_await asio::this_coro::executor);
  const auto turn = co_await turns->turn();
  co_await write_text(call, path, std::move(text));
  ToolResult result;
  result.text = "wrote " + std::to_string(size) + " bytes to " + path;
  result.structured = json::object({{"path", path}, {"bytes", size}});
  co_return result;
}

asio::awaitable<ToolResult> edit_file_tool(const ToolCall& call) {
  const std::string path = work_path(call.arguments.required_string("path"));
  Replacement how;
  how.old_text = call.arguments.required_string("old_string");
  how.new_text = call.arguments.required_string("new_string");
  how.everywhere = call.arguments.optional_bool("replace_all").value_or(false);
  call.expect_no_more();
  const auto turns = call.edits.of(call.cell_id, co_await asio::this_coro::executor);
  const auto turn = co_await turns->turn();
  const std::string text = co_await read_text(call, path);
  Replaced replaced = replace_text(path, text, how);
  co_await write_text(call, path, std::move(replaced.text));
  ToolResult result;
  result.text = path + ": replaced " + std::to_string(replaced.count) +
                (replaced.count == 1 ? " place" : " places") + ", from line " +
                std::to_string(replaced.first_line);
  result.structured = json::object(
      {{"path", path}, {"replacements", replaced.count}, {"line", replaced.first_line}});
  co_return result;
}

asio::awaitable<ToolResult> list_files_tool(const ToolCall& call) {
  const std::string path = work_path(call.arguments.optional_string("path").value_or("."));
  const bool is_deep = call.arguments.optional_bool("recursive").value_or(false);
  call.expect_no_more();
  InnerApi::Request request{.path = path == "." || path.empty() ? call.cell_path("/files")
                                                                : file_path(call, path)};
  request.query["list"] = "1";
  if (is_deep) request.query["recursive"] = "1";
  const json::Value list = co_await call.api.ask(std::move(request));
  const json::Array& entries = list.find("files")->as_array();
  const std::size_t count = std::min(entries.size(), kEntriesShownMax);
  const bool truncated = count < entries.size() || list.find("truncated") != nullptr;
  ToolResult result;
  json::Array files;
  for (std::size_t i = 0; i < count; ++i) {
    json::Object entry;
    for (const char* key : {"path", "type", "size"}) entry.set(key, *entries[i].find(key));
    const std::string& type = entry["type"].as_string();
    result.text += entry["path"].as_string();
    result.text += type == "directory" ? "/" : type == "file" ? "" : " (" + type + ")";
    result.text += '\n';
    files.emplace_back(std::move(entry));
  }
  if (count == 0) result.text = "(nothing is there)";
  if (truncated) result.note = "There is more: list a folder further down.";
  result.structured = json::object({{"files", std::move(files)}, {"truncated", truncated}});
  co_return result;
}

// ---- search ----

ToolResult shown_hits(json::Value found) {
  ToolResult result;
  for (json::Value& hit : found.as_object()["results"].as_array()) {
    json::Object& members = hit.as_object();
    result.text += members["path"].as_string() + ":" + json::dump(members["start_line"]) + "-" +
                   json::dump(members["end_line"]) + "\n" + members["content"].as_string() + "\n\n";
  }
  if (result.text.empty()) result.text = "(nothing was found)";
  if (found.find("indexing") != nullptr) {
    result.note = "Not all files are read yet: ask again for more.";
  }
  if (found.find("truncated_by") != nullptr) {
    result.note += std::string(result.note.empty() ? "" : " ") +
                   "The expression takes too long: not all files were searched.";
  }
  result.structured = std::move(found);
  return result;
}

asio::awaitable<ToolResult> search_code_tool(const ToolCall& call) {
  constexpr std::int64_t kLimitMax = 50;
  constexpr std::int64_t kLimitDefault = 10;
  json::Object body;
  body.set("query", call.arguments.required_string("query"));
  body.set("limit", call.arguments.optional_int("limit", 1, kLimitMax).value_or(kLimitDefault));
  for (const char* key : {"mode", "paths", "languages"}) {
    if (const json::Value* value = call.arguments.optional_value(key)) body.set(key, *value);
  }
  call.expect_no_more();
  InnerApi::Request request{.method = "POST", .path = call.cell_path("/search")};
  request.body = json::Value(std::move(body));
  co_return shown_hits(co_await call.api.ask(std::move(request)));
}

}  // namespace

std::vector<Tool> work_tools() {
  return {{"exec", exec_tool},
          {"read_file", read_file_tool},
          {"write_file", write_file_tool},
          {"edit_file", edit_file_tool},
          {"list_files", list_files_tool},
          {"search_code", search_code_tool}};
}

}  // namespace cellar::api
