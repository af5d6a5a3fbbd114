#include <fmt/format.h>

#include "audit/trail.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/commands.h"
#include "sys/file.h"

namespace cellar::cli {
namespace {

constexpr std::size_t kHashDigits = 64;

// "12:5f0c…", as verify prints it.
std::optional<audit::Link> parse_link(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t colon = text.find(':');
  const auto seq = parse_int(text.substr(0, colon));
  if (colon == text.npos || !seq || *seq < 1 || text.size() - colon - 1 != kHashDigits) {
    throw Error(ErrorCode::invalid_argument, "usage",
                "--expect must be NUMBER:HASH, as an earlier verify printed it");
  }
  return audit::Link{static_cast<audit::Seq>(*seq), text.substr(colon + 1)};
}

}  // namespace

int run(const AuditVerify& command, Context& context) {
  const std::string dir = command.state + "/audit";
  if (!sys::exists(dir)) {
    throw Error(ErrorCode::not_found, "audit_not_found", "there is no audit log in " + dir,
                "name the daemon's state folder with --state");
  }
  const audit::Verdict verdict = audit::verify(dir, parse_link(command.expect));
  const std::string last = fmt::format("{}:{}", verdict.last.seq, verdict.last.hash);
  if (context.output.format() == Format::json) {
    json::Array notes;
    for (const std::string& note : verdict.notes) notes.emplace_back(note);
    context.output.json(json::object({{"ok", verdict.problem.empty()},
                                      {"first", static_cast<std::int64_t>(verdict.first)},
                                      {"last", last},
                                      {"problem", verdict.problem},
                                      {"notes", std::move(notes)}}));
  } else {
    for (const std::string& note : verdict.notes) context.output.text("note: " + note + "\n");
    if (!verdict.problem.empty()) context.output.text("broken: " + verdict.problem + "\n");
    context.output.text(fmt::format("{} lines {} to {}\n",
                                    verdict.problem.empty() ? "ok:" : "up to there", verdict.first,
                                    last));
  }
  return verdict.problem.empty() ? 0 : 1;
}

}  // namespace cellar::cli
