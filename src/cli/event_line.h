#pragma once

#include <string>

#include "cli/event_stream.h"

namespace cellar::cli {

// An event for people: its number, time and type, and what happened in words, with tabs between
// them: "7\t2026-12-01T10:00:00.123Z\tstep.completed\t2 plan: failed: no such file\n". Where it
// says of which run it is, so do the words.
std::string format_event(const StreamEvent& event);

}  // namespace cellar::cli
