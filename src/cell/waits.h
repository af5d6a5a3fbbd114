#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "json/value.h"

// What a run waits for while nothing of it is executed: a time, an event, somebody's approval.
// Pure.
namespace cellar::cell {

// Commands of these kinds are ended by the daemon alone: the agent may be gone meanwhile.
bool is_wait(std::string_view kind) noexcept;  // "sleep", "wait", "approval", "child"

// The arguments of such a command, with times as points in time, so that they can be kept. `text`
// is what the agent sent:
//   sleep {ms} or {until}; wait {type, match?, timeout?}; approval {prompt?, data?, timeout?};
//   child {run}
// and becomes {until}, {type, match?, until?}, {prompt?, data?, until?}, {run}. Throws Error for no
// JSON.
std::string absolute_wait(std::string_view kind, std::string_view text, WallTime now);

// When it ends by itself; nullopt for never. `args` is what absolute_wait() gave.
std::optional<WallTime> wait_until(std::string_view args);

// Which events a wait is for: those of this type whose payload has every member of `match`, equal.
struct EventFilter {
  std::string type;
  json::Object match;

  bool takes(const json::Value& payload) const;
};
EventFilter wait_filter(std::string_view args);

// Whether it says which events it is for: its `match` is an object, or absent. What was recorded
// without that check takes any.
bool is_valid_match(std::string_view args);

// The run that a wait of the kind "child" is for.
std::string wait_run(std::string_view args);

}  // namespace cellar::cell
