#include "audit/entry.h"

#include "base/error.h"
#include "base/sha256.h"
#include "json/json.h"

namespace cellar::audit {

std::string encode_line(const Entry& entry, const Link& before) {
  json::Value line = json::object({{"seq", static_cast<std::int64_t>(before.seq + 1)},
                                   {"at", to_iso8601(entry.at)},
                                   {"key", entry.key_id},
                                   {"owner", entry.owner},
                                   {"via", entry.via},
                                   {"operation", entry.operation},
                                   {"target", entry.target},
                                   {"from", entry.from},
                                   {"status", std::int64_t{entry.status}},
                                   {"code", entry.code},
                                   {"request_id", entry.request_id},
                                   {"left_out", static_cast<std::int64_t>(entry.left_out)},
                                   {"prev", before.hash}});
  if (entry.lost > 0) line.as_object().set("lost", static_cast<std::int64_t>(entry.lost));
  return json::dump(line);
}

Link link_of(Seq seq, std::string_view line) { return {seq, sha256_hex(line)}; }

std::optional<LineHead> read_line_head(std::string_view line) {
  try {
    const json::Value value = json::parse(line);
    const json::Value* seq = value.find("seq");
    const json::Value* prev = value.find("prev");
    if (seq == nullptr || !seq->is_int() || prev == nullptr || !prev->is_string()) {
      return std::nullopt;
    }
    return LineHead{static_cast<Seq>(seq->as_int()), prev->as_string()};
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace cellar::audit
