#pragma once

#include <string>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/run_commands.h"
#include "json/value.h"

namespace cellar::cli {

// Why a run does not go on, and what its owner can do about it with this program. Both are empty
// where it is executed now or is completed.
struct RunTrouble {
  std::string why;
  std::string remedy;
};

// `run` is what the daemon says of it (docs/api/openapi.yaml, `RunDetail`).
RunTrouble trouble_of(const json::Value& run, const RunRef& ref);

// An error's message, with its name where that says something; as JSON what has neither.
std::string error_words(const json::Value& error);

// Why a replay does not fit, in words; what its `detail` says otherwise.
std::string difference_of(const json::Value& detail);
// What helps against that; empty for nothing that is known.
std::string replay_remedy(const json::Value& detail);

// "failed", "paused (crash_loop)", "waiting (event)".
std::string status_of(const json::Value& run);

// A member a line: what it is, how it stands, and its trouble in words.
std::string format_run(const json::Value& run, const RunRef& ref, Look look);

// A row for each step; `now` is for those that have not ended.
std::string format_steps(const json::Value& run, WallTime now, Look look);

}  // namespace cellar::cli
