#include "cell/last_use.h"

#include <algorithm>

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/process.h"

namespace cellar::cell {

std::string encode_last_use(SteadyTime quiet_since) {
  const auto since_boot = quiet_since.time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_boot);
  return json::dump(
      json::object({{"quiet_since_boot_ms", ms.count()}, {"boot_id", sys::boot_id()}}));
}

std::optional<SteadyTime> decode_last_use(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "the record of a cell's last use");
    if (record.required_string("boot_id") != sys::boot_id()) return std::nullopt;
    const auto ms = record.required_int("quiet_since_boot_ms", 0, INT64_MAX / 1'000'000);
    return std::min(steady_now(), SteadyTime(std::chrono::milliseconds(ms)));
  } catch (const Error&) {
    return std::nullopt;  // Cut off by a crash.
  }
}

}  // namespace cellar::cell
