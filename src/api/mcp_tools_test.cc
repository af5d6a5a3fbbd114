#include "api/mcp_tools.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <set>

namespace cellar::api {
namespace {

using At = ToolList::At;

std::set<std::string> names_in(const json::Value& descriptions) {
  std::set<std::string> names;
  for (const json::Value& tool : descriptions.as_array()) {
    names.insert(tool.find("name")->as_string());
  }
  return names;
}

const json::Value& input_of(const ToolList& list, At at, std::string_view name) {
  for (const json::Value& tool : list.descriptions(at).as_array()) {
    if (tool.find("name")->as_string() == name) return *tool.find("inputSchema");
  }
  throw std::runtime_error("no such tool");
}

}  // namespace

TEST_CASE("what is described is there, and what is there is described") {
  const ToolList list;
  std::set<std::string> made;
  for (const auto& tools : {cell_tools(), work_tools()}) {
    for (const Tool& tool : tools) made.emplace(tool.name);
  }
  CHECK(made == names_in(list.descriptions(At::all_cells)));
  for (const std::string& name : made) {
    CHECK(list.find(name, At::all_cells).tool->name == name);
  }
  CHECK(list.find("nothing", At::all_cells).tool == nullptr);
}

TEST_CASE("at an address for one cell no tool is told of another") {
  const ToolList list;
  std::set<std::string> others = names_in(list.descriptions(At::all_cells));
  for (const std::string& name : names_in(list.descriptions(At::one_cell))) {
    CHECK(input_of(list, At::one_cell, name).find("properties")->find("cell_id") == nullptr);
    CHECK(input_of(list, At::all_cells, name).find("required")->as_array().front() ==
          json::Value("cell_id"));
    others.erase(name);
  }
  CHECK(others == std::set<std::string>{"create_cell", "list_cells", "delete_cell"});
  for (const std::string& name : others) CHECK(list.find(name, At::one_cell).tool == nullptr);
  CHECK(list.find("delete_cell", At::all_cells).needs_cell);
  CHECK(!list.find("list_cells", At::all_cells).needs_cell);
}

TEST_CASE("each tool says what it takes, what it gives and what it may do") {
  const ToolList list;
  for (const json::Value& tool : list.descriptions(At::all_cells).as_array()) {
    for (const char* key : {"title", "description", "inputSchema", "outputSchema"}) {
      CHECK(tool.find(key) != nullptr);
    }
    CHECK(tool.find("outputSchema")->find("type")->as_string() == "object");
    CHECK(tool.find("annotations")->find("readOnlyHint")->is_bool());
    CHECK(tool.find("annotations")->find("openWorldHint")->is_bool());
    CHECK(tool.as_object().size() == 6);
  }
}

TEST_CASE("edits of one cell have one order, and nothing is kept of those that are over") {
  boost::asio::io_context loop;
  EditTurns turns;
  auto first = turns.of("a", loop.get_executor());
  CHECK(turns.of("a", loop.get_executor()) == first);
  CHECK(turns.of("b", loop.get_executor()) != first);
  const std::weak_ptr<async::Serial> old = first;
  first.reset();
  CHECK(old.expired());
}

}  // namespace cellar::api
