#include "cell/files_told.h"

#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/process.h"

namespace cellar::cell {

std::string encode_files_told(FilesToldFor how_long) {
  json::Value record = json::object({{"for_good", how_long == FilesToldFor::good}});
  if (how_long == FilesToldFor::this_boot) record.as_object().set("boot_id", sys::boot_id());
  return json::dump(record);
}

std::optional<FilesToldFor> decode_files_told(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader record(value, "the record of what was told of a cell's files");
    if (record.required_bool("for_good")) return FilesToldFor::good;
    if (record.required_string("boot_id") == sys::boot_id()) return FilesToldFor::this_boot;
  } catch (const Error&) {  // Cut off by a crash.
  }
  return std::nullopt;
}

}  // namespace cellar::cell
