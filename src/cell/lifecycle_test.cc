#include "cell/lifecycle.h"

#include <doctest/doctest.h>

namespace cellar::cell {
namespace {

using std::chrono::seconds;

SteadyTime at(int ms) { return SteadyTime(std::chrono::milliseconds(ms)); }

LifecycleView quiet_cell() {
  return {.state = State::active,
          .quiet_since = at(0),
          .idle_timeout = seconds(10),
          .hibernate_after = seconds(100)};
}

}  // namespace

TEST_CASE("people are told by the machine's clock what is counted by the steady one") {
  const SteadyTime begun = steady_now();
  const WallTime before = wall_now();
  const WallTime shown = to_wall(steady_now() + seconds(10));
  const WallTime after = wall_now();
  // The two clocks are read one after the other: it may be off by what went by.
  const auto off = steady_now() - begun + std::chrono::milliseconds(1);
  CHECK(shown >= before + seconds(10) - off);
  CHECK(shown <= after + seconds(10) + off);
}

TEST_CASE("a quiet cell pauses at its idle timeout and not a moment before") {
  const LifecycleView view = quiet_cell();
  CHECK(pauses_at(view) == at(10'000));
  CHECK_FALSE(due(view, at(9'999)).has_value());
  CHECK(due(view, at(10'000)) == Action::pause);
}

TEST_CASE("whatever keeps a cell busy keeps it awake, however long") {
  LifecycleView view = quiet_cell();
  view.blocker_count = 1;
  CHECK_FALSE(pauses_at(view).has_value());
  CHECK_FALSE(due(view, at(1'000'000'000)).has_value());
}

TEST_CASE("what keeps a cell busy for longer than it may be awake is stopped") {
  LifecycleView view = quiet_cell();
  view.blocker_count = 1;
  view.awake_since = at(5'000);
  view.max_awake = seconds(50);
  CHECK(stops_at(view) == at(55'000));
  CHECK_FALSE(due(view, at(54'999)).has_value());
  CHECK(due(view, at(55'000)) == Action::stop);
  view.blocker_count = 0;  // It is paused before, as every quiet cell.
  CHECK(due(view, at(55'000)) == Action::pause);
  view.state = State::paused;
  CHECK_FALSE(stops_at(view).has_value());
}

TEST_CASE("a permanent cell never pauses and is never stopped") {
  LifecycleView view = quiet_cell();
  view.permanent = true;
  view.max_awake = seconds(50);
  CHECK_FALSE(due(view, at(1'000'000'000)).has_value());
}

TEST_CASE("a paused cell hibernates later, a hibernated one stays as it is") {
  LifecycleView view = quiet_cell();
  view.state = State::paused;
  CHECK_FALSE(due(view, at(99'999)).has_value());
  CHECK(due(view, at(100'000)) == Action::hibernate);
  view.state = State::hibernated;
  CHECK_FALSE(due(view, at(100'000)).has_value());
}

}  // namespace cellar::cell
