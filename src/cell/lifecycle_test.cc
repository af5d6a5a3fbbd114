#include "cell/lifecycle.h"

#include <doctest/doctest.h>

namespace cellar::cell {
namespace {

using std::chrono::seconds;

LifecycleView quiet_cell() {
  return {.state = State::active,
          .quiet_since = from_unix_ms(0),
          .idle_timeout = seconds(10),
          .hibernate_after = seconds(100)};
}

}  // namespace

TEST_CASE("a quiet cell pauses at its idle timeout and not a moment before") {
  const LifecycleView view = quiet_cell();
  CHECK(pauses_at(view) == from_unix_ms(10'000));
  CHECK_FALSE(due(view, from_unix_ms(9'999)).has_value());
  CHECK(due(view, from_unix_ms(10'000)) == Action::pause);
}

TEST_CASE("whatever keeps a cell busy keeps it awake, however long") {
  LifecycleView view = quiet_cell();
  view.blocker_count = 1;
  CHECK_FALSE(pauses_at(view).has_value());
  CHECK_FALSE(due(view, from_unix_ms(1'000'000'000)).has_value());
}

TEST_CASE("a permanent cell never pauses") {
  LifecycleView view = quiet_cell();
  view.permanent = true;
  CHECK_FALSE(due(view, from_unix_ms(1'000'000'000)).has_value());
}

TEST_CASE("a paused cell hibernates later, a hibernated one stays as it is") {
  LifecycleView view = quiet_cell();
  view.state = State::paused;
  CHECK_FALSE(due(view, from_unix_ms(99'999)).has_value());
  CHECK(due(view, from_unix_ms(100'000)) == Action::hibernate);
  view.state = State::hibernated;
  CHECK_FALSE(due(view, from_unix_ms(100'000)).has_value());
}

}  // namespace cellar::cell
