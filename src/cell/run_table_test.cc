#include <doctest/doctest.h>

#include "cell/run.h"

namespace cellar::cell {
namespace {

// A table with one run, whose records follow each other.
class Story {
 public:
  Story() {
    journal::RunCreated created;
    created.run_id = "run_1_ab";
    tell(created);
  }

  template <typename Body>
  journal::Lsn tell(const Body& body, std::uint32_t ordinal = 0) {
    runs_.apply(
        {.lsn = ++last_, .run = 1, .ordinal = ordinal, .type = Body::kType, .body = body.encode()});
    return last_;
  }

  journal::Lsn receive(const std::string& id) {
    journal::EventReceived event;
    event.id = id;
    event.type = "go";
    return tell(event);
  }

  void take(journal::Lsn event) {
    journal::WaitMatched matched;
    matched.event = event;
    tell(matched, ++ordinal_);
  }

  void go_on() { tell(journal::Continued(), ++ordinal_); }

  const Run& run() { return *runs_.find(1); }
  RunTable& runs() { return runs_; }

 private:
  RunTable runs_;
  journal::Lsn last_ = 0;
  std::uint32_t ordinal_ = 0;
};

}  // namespace

TEST_CASE("an event that has ended a wait is known by its id, and waits for nothing more") {
  Story story;
  const journal::Lsn first = story.receive("a");
  const journal::Lsn second = story.receive("b");
  story.take(first);
  CHECK(story.run().has_taken(first));
  CHECK_FALSE(story.run().has_taken(second));
  CHECK(story.run().events.size() == 1);
  CHECK(story.run().event_ids.contains("a"));
}

TEST_CASE("a run that goes on for ever remembers the newest events, and what it has not taken") {
  Story story;
  const journal::Lsn left = story.receive("left");
  const std::size_t count = 3 * kEventIdsKept;
  for (std::size_t number = 1; number < count; ++number) {
    story.take(story.receive(std::to_string(number)));
  }
  CHECK(story.run().event_ids.size() == count);
  story.go_on();
  CHECK(story.run().event_ids.size() == kEventIdsKept);
  CHECK(story.run().event_ids.contains(std::to_string(count - 1)));
  CHECK_FALSE(story.run().event_ids.contains("1"));
  CHECK_FALSE(story.run().has_taken(left));
  story.receive("new");
  story.go_on();  // A few more are no reason to look through all.
  CHECK(story.run().event_ids.size() == kEventIdsKept + 1);
}

TEST_CASE("a run that waits is counted among those that wait") {
  Story story;
  journal::StepStart wait;
  wait.kind = "wait";
  wait.name = "go";
  story.tell(wait, 1);
  const auto of = [&](RunStatus status) {
    return story.runs().counts()[static_cast<std::size_t>(status)];
  };
  CHECK(of(RunStatus::waiting) == 1);
  CHECK(of(RunStatus::running) == 0);
}

}  // namespace cellar::cell
