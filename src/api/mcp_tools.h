#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/inner_api.h"
#include "async/serial.h"
#include "json/reader.h"
#include "json/value.h"

// The tools that the Model Context Protocol offers: what they are is said in mcp_tools.json, what
// they do is asked of the API.
namespace cellar::api {

struct ToolResult {
  std::string text;        // for a model to read; empty: `structured` as JSON
  std::string note;        // what else it should know; empty: nothing
  json::Value structured;  // as the tool's outputSchema says
  bool is_error = false;
};

// Edits of one cell, one after the other: clients ask for several at once, and each reads the file
// that the one before has written. Loop thread only; outlives its turns.
class EditTurns {
 public:
  // Keep it until after the turn.
  std::shared_ptr<async::Serial> of(const std::string& cell_id,
                                    const asio::any_io_executor& executor);

 private:
  // Of cells that nobody edits now, nothing is kept: as many as there are edits under way.
  std::map<std::string, std::weak_ptr<async::Serial>> turns_;
};

// One call of a tool.
struct ToolCall {
  const InnerApi& api;
  const json::Reader& arguments;
  json::Object& given;  // the same, for what is large: a tool may take it out once it has read it
  std::string cell_id;  // empty for a tool that is for no one cell
  EditTurns& edits;

  // Of this cell: "/exec".
  std::string cell_path(std::string_view rest = {}) const;
  // Throws Error `invalid_argument` where there are arguments that the tool has not asked for.
  // Comes when it has asked for all, before it does anything.
  void expect_no_more() const { arguments.refuse_unknown(); }
};

struct Tool {
  std::string_view name;
  asio::awaitable<ToolResult> (*run)(const ToolCall& call);
};
std::vector<Tool> cell_tools();  // mcp_cell_tools.cc
std::vector<Tool> work_tools();  // mcp_work_tools.cc

// All tools as clients see them. Immutable.
class ToolList {
 public:
  // Reads mcp_tools.json.
  ToolList();

  // Where a client is: at all cells of its key, or at an address for one of them.
  enum class At : std::uint8_t { all_cells, one_cell };
  // What `tools/list` gives.
  const json::Value& descriptions(At at) const { return at == At::all_cells ? all_ : bound_; }
  const std::string& instructions() const noexcept { return instructions_; }

  struct Found {
    const Tool* tool = nullptr;  // null: there is none of that name here
    bool needs_cell = false;
  };
  Found find(std::string_view name, At at) const;

 private:
  std::vector<Tool> tools_;
  std::map<std::string, bool, std::less<>> needs_cell_;
  std::string instructions_;
  json::Value all_;
  json::Value bound_;
};

}  // namespace cellar::api
