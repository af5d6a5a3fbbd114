#include <algorithm>

#include "base/error.h"
#include "cli/commands.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kPageMax = 1000;
constexpr std::size_t kPagesMax = 10'000;

}  // namespace

Listed pages_of(Api& api, const std::string& path, std::string_view name, std::size_t limit) {
  Listed listed;
  for (std::size_t count = 0; count < kPagesMax && listed.items.size() < limit; ++count) {
    const std::size_t wanted = std::min(limit - listed.items.size(), kPageMax);
    const std::string cursor =
        listed.next_cursor.empty() ? "" : "&cursor=" + encode_segment(listed.next_cursor);
    const json::Value page = api.get(path + "?limit=" + std::to_string(wanted) + cursor);
    const json::Value* items = page.find(name);
    if (items == nullptr || !items->is_array()) {
      throw Error(ErrorCode::internal, "the daemon's answer holds no " + std::string(name));
    }
    std::ranges::copy(items->as_array(), std::back_inserter(listed.items));
    listed.next_cursor = column(page, "next_cursor");
    if (listed.next_cursor.empty()) break;
  }
  return listed;
}

json::Array all_cells(Api& api) {
  return pages_of(api, "/api/v1/cells", "cells", kPagesMax * kPageMax).items;
}

std::string column(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value == nullptr || value->is_null() ? "" : format_value(*value);
}

std::string short_digest(const json::Value& object) {
  constexpr std::size_t kShown = 12;
  return column(object, "agent_digest").substr(0, kShown);
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
