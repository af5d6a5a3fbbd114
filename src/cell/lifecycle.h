#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

// What a cell should do next: pure decisions, made on values. The supervisor acts on them.
namespace cellar::cell {

// paused: frozen, processes kept. hibernated: no processes, only disk.
enum class State : std::uint8_t { active, paused, hibernated };

std::string_view to_string(State state) noexcept;

// What becomes of cells' processes when the daemon ends: the next one finds them, or they end.
enum class OnStop : std::uint8_t { keep, hibernate };

// Of the clock that nobody sets: a machine whose time is corrected puts no cell to sleep, and keeps
// none awake.
using SteadyTime = std::chrono::steady_clock::time_point;
inline SteadyTime steady_now() noexcept { return std::chrono::steady_clock::now(); }
// What the machine's clock says then, for people: as it goes now.
WallTime to_wall(SteadyTime time) noexcept;

// Something that keeps a cell awake.
struct Blocker {
  // "run", "request", "command", "stream", "terminal", "lease", "processes", "preview", "permanent"
  std::string kind;
  std::string detail;  // "run_1f… fix", "npm test"
  WallTime since;
};

struct LifecycleView {
  State state = State::hibernated;
  bool permanent = false;
  std::size_t blocker_count = 0;
  SteadyTime quiet_since;  // the end of the last activity, or of the last transition
  std::chrono::seconds idle_timeout{900};
  std::chrono::seconds hibernate_after{3600};  // in the state `paused`
  SteadyTime awake_since;                      // it woke up, or was last asked for something
  std::chrono::seconds max_awake{0};           // after that, whatever goes on; 0: no limit
};

// stop: it was awake for too long; what goes on is ended.
enum class Action : std::uint8_t { pause, hibernate, stop };

// When the cell pauses if nothing happens; nullopt where it does not.
std::optional<SteadyTime> pauses_at(const LifecycleView& view) noexcept;

// When it is stopped if nobody asks it for something; nullopt where it is not.
std::optional<SteadyTime> stops_at(const LifecycleView& view) noexcept;

// What is due at `now`; nullopt where nothing is.
std::optional<Action> due(const LifecycleView& view, SteadyTime now) noexcept;

}  // namespace cellar::cell
