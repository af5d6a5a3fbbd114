#include "api/mcp_tools.h"

#include <algorithm>

#include "base/check.h"
#include "base/percent.h"
#include "cellar_api_mcp_tools_files.h"
#include "json/json.h"

namespace cellar::api {
namespace {

// `schema` with what it refers to in the place of {"$ref": NAME}.
json::Value resolve(const json::Value& schema, const json::Value& schemas) {
  if (schema.is_array()) {
    json::Array items;
    for (const json::Value& item : schema.as_array()) items.push_back(resolve(item, schemas));
    return json::Value(std::move(items));
  }
  if (!schema.is_object()) return schema;
  if (const json::Value* name = schema.find("$ref")) {
    const json::Value* named = schemas.find(name->as_string());
    CELLAR_CHECK(named != nullptr);
    return *named;
  }
  json::Object members;
  for (const auto& [key, value] : schema.as_object()) members.set(key, resolve(value, schemas));
  return json::Value(std::move(members));
}

bool says_no(const json::Value& tool, std::string_view key) {
  const json::Value* flag = tool.find(key);
  return flag != nullptr && !flag->as_bool();
}

// The description of a tool without what is for us.
json::Value shown(const json::Value& tool, const json::Value& schemas) {
  json::Value value = resolve(tool, schemas);
  value.as_object().erase("needs_cell");
  value.as_object().erase("when_bound");
  return value;
}

// With the argument that says which cell is meant, the first of all.
json::Value with_cell(json::Value tool, const json::Value& cell_id) {
  json::Object& schema = tool.as_object()["inputSchema"].as_object();
  json::Object properties;
  properties.set("cell_id", cell_id);
  for (const auto& [name, value] : schema["properties"].as_object()) properties.set(name, value);
  json::Array required{json::Value("cell_id")};
  if (const json::Value* others = schema.find("required")) {
    required.insert(required.end(), others->as_array().begin(), others->as_array().end());
  }
  schema.set("properties", std::move(properties));
  schema.set("required", std::move(required));
  return tool;
}

}  // namespace

std::shared_ptr<async::Serial> EditTurns::of(const std::string& cell_id,
                                             const asio::any_io_executor& executor) {
  std::erase_if(turns_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<async::Serial>& known = turns_[cell_id];
  std::shared_ptr<async::Serial> turns = known.lock();
  if (!turns) known = turns = std::make_shared<async::Serial>(executor);
  return turns;
}

std::string ToolCall::cell_path(std::string_view rest) const {
  return "/api/v1/cells/" + encode_segment(cell_id) + std::string(rest);
}

ToolList::ToolList() : tools_(cell_tools()) {
  for (const Tool& tool : work_tools()) tools_.push_back(tool);
  const json::Value document = json::parse(mcp_tools::kFiles[0].contents);
  const json::Value& schemas = *document.find("schemas");
  instructions_ = document.find("instructions")->as_string();
  json::Array all;
  json::Array bound;
  for (const json::Value& tool : document.find("tools")->as_array()) {
    const bool needs_cell = !says_no(tool, "needs_cell");
    const json::Value description = shown(tool, schemas);
    needs_cell_.emplace(tool.find("name")->as_string(), needs_cell);
    if (!says_no(tool, "when_bound")) bound.push_back(description);
    all.push_back(needs_cell ? with_cell(description, *document.find("cell_id")) : description);
  }
  all_ = json::Value(std::move(all));
  bound_ = json::Value(std::move(bound));
}

ToolList::Found ToolList::find(std::string_view name, At at) const {
  const auto is_it = [name](const json::Value& tool) {
    return tool.find("name")->as_string() == name;
  };
  const json::Array& offered = descriptions(at).as_array();
  if (std::none_of(offered.begin(), offered.end(), is_it)) return {};
  const auto tool = std::find_if(tools_.begin(), tools_.end(),
                                 [name](const Tool& one) { return one.name == name; });
  CELLAR_CHECK(tool != tools_.end());
  return {&*tool, needs_cell_.find(name)->second};
}

}  // namespace cellar::api
