#include "base/error.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr int kPagesMax = 10'000;

}  // namespace

json::Array all_cells(Api& api) {
  json::Array cells;
  std::string path = "/api/v1/cells";
  for (int page = 0; page < kPagesMax; ++page) {
    const json::Value answer = api.get(path);
    const json::Value* list = answer.find("cells");
    if (list == nullptr || !list->is_array()) {
      throw Error(ErrorCode::internal, "the daemon's answer holds no cells");
    }
    cells.insert(cells.end(), list->as_array().begin(), list->as_array().end());
    const std::string cursor = column(answer, "next_cursor");
    if (cursor.empty()) break;
    path = "/api/v1/cells?cursor=" + encode_segment(cursor);
  }
  return cells;
}

std::string column(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value == nullptr || value->is_null() ? "" : format_value(*value);
}

int run(const List&, Context& context) {
  Output& output = context.output;
  json::Array cells = all_cells(context.api);
  if (output.format() == Format::json) {
    output.json(json::object({{"cells", std::move(cells)}}));
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value& cell : cells) {
    const std::string state = column(cell, "state");
    rows.push_back({column(cell, "cell_id"), state.empty() ? column(cell, "status") : state,
                    column(cell, "tier"), column(cell, "customer_id"),
                    column(cell, "last_active_at")});
  }
  output.write(
      format_table({"CELL", "STATE", "TIER", "CUSTOMER", "LAST ACTIVE"}, rows, output.look()));
  return 0;
}

}  // namespace cellar::cli
