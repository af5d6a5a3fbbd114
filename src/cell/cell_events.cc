// What a cell tells of itself: events of no run, in its journal among those of its runs.

#include "cell/cell.h"
#include "json/json.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::seconds kTellingWindow{10};

}  // namespace

void Cell::tell(std::string type, json::Value data) {
  if (!open_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now >= telling_.since + kTellingWindow) {
    telling_.since = now;
    telling_.count = 0;
  }
  if (telling_.count == kToldMax || journal_->is_full() || journal_->is_broken()) {
    ++telling_.left_out;
    return;
  }
  if (telling_.left_out > 0) data.as_object().set("left_out", telling_.left_out);
  telling_.left_out = 0;
  ++telling_.count;
  runner_->tell({.type = std::move(type), .data = json::dump(data)});
}

json::Value to_json(const ResumeReport& report) {
  json::Array lost;
  for (const Program& program : report.lost) {
    lost.push_back(json::object({{"domain", program.domain},
                                 {"pid", program.pid},
                                 {"command", program.command},
                                 {"lost_by", name_of(program.lost_by)}}));
  }
  return json::object(
      {{"from", report.from},
       {"processes", json::object({{"survived", report.survived}, {"lost", std::move(lost)}})},
       {"took_ms", static_cast<double>(report.took.count()) / 1000.0}});
}

}  // namespace cellar::cell
