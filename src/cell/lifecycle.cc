#include "cell/lifecycle.h"

namespace cellar::cell {

std::string_view to_string(State state) noexcept {
  switch (state) {
    case State::active:
      return "active";
    case State::paused:
      return "paused";
    case State::hibernated:
      return "hibernated";
  }
  return "hibernated";
}

WallTime to_wall(SteadyTime time) noexcept {
  return wall_now() + std::chrono::duration_cast<WallTime::duration>(time - steady_now());
}

std::optional<SteadyTime> pauses_at(const LifecycleView& view) noexcept {
  if (view.state != State::active || view.permanent || view.blocker_count > 0) return std::nullopt;
  return view.quiet_since + view.idle_timeout;
}

std::optional<SteadyTime> stops_at(const LifecycleView& view) noexcept {
  if (view.state != State::active || view.permanent || view.max_awake.count() == 0) {
    return std::nullopt;
  }
  return view.awake_since + view.max_awake;
}

std::optional<Action> due(const LifecycleView& view, SteadyTime now) noexcept {
  if (const auto pause = pauses_at(view)) {
    return now >= *pause ? std::optional(Action::pause) : std::nullopt;
  }
  if (const auto stop = stops_at(view); stop && now >= *stop) return Action::stop;
  if (view.state == State::paused && view.blocker_count == 0 &&
      now >= view.quiet_since + view.hibernate_after) {
    return Action::hibernate;
  }
  return std::nullopt;
}

}  // namespace cellar::cell
