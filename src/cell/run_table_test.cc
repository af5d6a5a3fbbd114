#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

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

namespace {

constexpr RunTable::EndedBefore kAllThatEnded{.runs = WallTime::max(),
                                              .generations = WallTime::max()};

// Runs of a journal whose records are kept, so that it can be opened again from any of them on.
class Kept {
 public:
  template <typename Body>
  journal::Lsn tell(std::uint32_t run, std::uint32_t ordinal, const Body& body) {
    records_.push_back({.lsn = records_.size() + 1,
                        .run = run,
                        .ordinal = ordinal,
                        .type = Body::kType,
                        .t_ns = 1'000'000 * (records_.size() + 1),
                        .body = body.encode()});
    runs_.apply(records_.back());
    return records_.back().lsn;
  }
  void create(std::uint32_t run, const std::optional<std::string>& key = std::nullopt) {
    journal::RunCreated created;
    created.run_id = "run_" + std::to_string(run) + "_ab";
    created.method = "work";
    created.params = "{}";
    created.idem_key = key;
    tell(run, 0, created);
    journal::RunAttempt first;
    first.n = 1;
    first.cause = "start";
    tell(run, 0, first);
  }
  void end(std::uint32_t run) {
    journal::RunEnded ended;
    ended.status = "completed";
    ended.value.bytes = "1";
    tell(run, 0, ended);
  }
  journal::Lsn receive(std::uint32_t run, const std::string& id) {
    journal::EventReceived event;
    event.id = id;
    event.type = "go";
    return tell(run, 0, event);
  }
  void step(std::uint32_t run, std::uint32_t ordinal, const std::string& name) {
    journal::StepStart start;
    start.kind = "step";
    start.name = name;
    tell(run, ordinal, start);
    journal::Event said;
    said.type = "stream";
    said.data = "1";
    said.step = ordinal;
    tell(run, 0, said);
    journal::StepEnd end;
    end.ok = true;
    end.value.bytes = "1";
    tell(run, ordinal, end);
  }
  // As the runner does: what the run is, and that it goes on.
  journal::Lsn go_on(std::uint32_t number, std::uint32_t ordinal) {
    const Run& run = *runs_.find(number);
    journal::Carried carried;
    carried.run_id = run.id;
    carried.method = run.method;
    carried.value.bytes = "{}";
    carried.idem_key = run.idempotency_key;
    carried.started_ns = static_cast<std::uint64_t>(to_unix_ms(run.started_at)) * 1'000'000;
    carried.attempt = run.attempt;
    carried.generation = run.generation;
    carried.known_events = run.events_to_carry();
    tell(number, 0, carried);
    return tell(number, ordinal, journal::Continued());
  }
  void trim(journal::Lsn first_kept) {
    first_ = first_kept;
    tell(0, 0, runs_.trim_before(first_));
  }
  // Forgets what no run needs that has not ended; for the first that is kept.
  journal::Lsn trim() {
    trim(runs_.first_needed(kAllThatEnded));
    return first_;
  }
  // What the next daemon makes of it.
  RunTable opened() const {
    RunTable runs;
    for (std::size_t at = first_ - 1; at < records_.size(); ++at) runs.apply(records_[at]);
    runs.opened(records_.size());
    return runs;
  }
  void open_again() { runs_ = opened(); }
  RunTable& runs() { return runs_; }

 private:
  std::vector<journal::Record> records_;
  journal::Lsn first_ = 1;
  RunTable runs_;
};

void check_same(const Run& a, const Run& b) {
  CHECK(a.id == b.id);
  CHECK(a.method == b.method);
  CHECK(a.idempotency_key == b.idempotency_key);
  CHECK(a.started_at == b.started_at);
  CHECK(a.attempt == b.attempt);
  CHECK(a.generation == b.generation);
  CHECK(a.base == b.base);
  CHECK(a.created == b.created);
  CHECK(a.continued == b.continued);
  CHECK(a.newest_end == b.newest_end);
  CHECK(a.status == b.status);
  CHECK(a.open == b.open);
  CHECK(a.event_ids == b.event_ids);
  CHECK(a.events.size() == b.events.size());
  CHECK(a.steps.size() == b.steps.size());
  CHECK(a.past.size() == b.past.size());
  CHECK(a.past_generations.size() == b.past_generations.size());
  CHECK(a.known_events == b.known_events);
}

}  // namespace

TEST_CASE(
    "a run that is continued needs what it recorded since, and is found again without the rest") {
  Kept kept;
  kept.create(1, "key");
  kept.step(1, 1, "one");
  kept.create(2);
  kept.step(2, 1, "of another");
  kept.end(2);
  CHECK(kept.runs().first_needed(kAllThatEnded) == 1);
  kept.go_on(1, 2);
  kept.step(1, 3, "two");
  kept.go_on(1, 4);
  kept.step(1, 5, "three");
  kept.create(3);
  const journal::Lsn first = kept.trim();
  CHECK(first == kept.runs().find(1)->created);
  RunTable again = kept.opened();
  REQUIRE(again.find("run_1_ab") != nullptr);
  check_same(*kept.runs().find(1), *again.find(1));
  CHECK(again.find(1)->generation == 3);
  CHECK(again.find_key("key") == again.find(1));
  for (RunTable* runs : {&kept.runs(), &again}) {
    CHECK(runs->find(2) == nullptr);
    CHECK(runs->is_trimmed("run_2_ab"));
    CHECK(runs->find(3) != nullptr);
    CHECK(runs->next_number() == 4);
    CHECK(runs->first_needed(kAllThatEnded) == first);
  }
}

TEST_CASE("a generation is kept as long as a run that ended then, and the newest for good") {
  Kept kept;
  kept.create(1);
  std::vector<journal::Lsn> begins = {1};
  std::vector<journal::Lsn> ends;
  for (std::uint32_t ordinal = 1; ordinal <= 3; ++ordinal) {
    ends.push_back(kept.go_on(1, ordinal));
    begins.push_back(ends.back() - 1);
  }
  const auto needed = [](RunTable& runs, journal::Lsn end) {
    const WallTime then = from_unix_ms(static_cast<std::int64_t>(end));  // As Kept::tell() has it.
    return runs.first_needed({.runs = WallTime::min(), .generations = then});
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    CHECK(needed(kept.runs(), ends[i]) == begins[i]);
    CHECK(needed(kept.runs(), ends[i] + 1) == begins[i + 1]);
  }
  kept.trim(needed(kept.runs(), ends[1]));
  RunTable again = kept.opened();
  check_same(*kept.runs().find(1), *again.find(1));
  CHECK(needed(again, ends[0]) == begins[1]);
  CHECK(needed(again, ends[2]) == begins[2]);
  CHECK(needed(again, ends[2] + 1) == begins[3]);
}

TEST_CASE("a run that was begun from another needs that one until it is continued") {
  Kept kept;
  kept.create(1);
  kept.end(1);
  kept.create(2);
  journal::ForkedFrom from;
  from.run_id = "run_1_ab";
  const journal::Lsn forked = kept.tell(2, 0, from);
  kept.tell(2, 1, journal::Continued());  // Copied: that one had continued.
  CHECK(kept.runs().first_needed(kAllThatEnded) == 1);
  kept.go_on(2, 2);
  CHECK(kept.runs().first_needed(kAllThatEnded) == forked + 2);
}

TEST_CASE("an event that a continued run has not taken is kept, with what it has said meanwhile") {
  Kept kept;
  kept.create(1);
  kept.receive(1, "taken");
  journal::WaitMatched matched;
  matched.event = 3;
  kept.tell(1, 1, matched);
  const journal::Lsn waiting = kept.receive(1, "waiting");
  kept.step(1, 2, "one");
  kept.go_on(1, 3);
  CHECK(kept.trim() == waiting);
  RunTable again = kept.opened();
  check_same(*kept.runs().find(1), *again.find(1));
  CHECK_FALSE(again.find(1)->has_taken(waiting));
  CHECK(again.find(1)->event_ids.contains("waiting"));
  CHECK_FALSE(again.find(1)->event_ids.contains("taken"));
  CHECK(again.find(1)->past.size() == 1);
}

TEST_CASE("a journal that was trimmed before is trimmed again, and knows which runs are gone") {
  Kept kept;
  kept.create(1);
  for (std::uint32_t number = 2; number <= 6; ++number) {
    kept.create(number);
    kept.end(number);
    kept.go_on(1, number);
    kept.trim();
    RunTable again = kept.opened();
    check_same(*kept.runs().find(1), *again.find(1));
    CHECK(again.is_trimmed("run_" + std::to_string(number) + "_ab"));
    CHECK(again.next_number() == number + 1);
  }
}

TEST_CASE(
    "a journal without the beginning of any run is trimmed again, in every life of the daemon") {
  Kept kept;
  kept.create(1);
  kept.create(2);
  kept.end(2);
  for (std::uint32_t ordinal = 1; ordinal <= 6; ++ordinal) {
    kept.receive(1, std::to_string(ordinal));
    journal::WaitMatched matched;
    matched.event = kept.runs().find(1)->events.begin()->first;
    kept.tell(1, 2 * ordinal, matched);
    kept.go_on(1, 2 * ordinal + 1);
    const journal::Lsn first = kept.trim();
    const Run& run = *kept.runs().find(1);
    CHECK(run.past_generations.empty());
    CHECK(run.event_ids.empty());
    if (ordinal % 2 == 0) kept.open_again();
    CHECK(kept.runs().first_needed(kAllThatEnded) == first);
    CHECK(kept.runs().next_number() == 3);
    CHECK(kept.runs().is_trimmed("run_2_ab"));
  }
}

TEST_CASE("an event that comes again is known for a thousand others, whatever was trimmed") {
  Kept kept;
  kept.create(1);
  std::uint32_t ordinal = 0;
  for (std::size_t number = 0; number <= kEventIdsCarried + 1; ++number) {
    journal::WaitMatched matched;
    matched.event = kept.receive(1, std::to_string(number));
    kept.tell(1, ++ordinal, matched);
    if (number % 100 != 1) continue;
    kept.go_on(1, ++ordinal);
    kept.trim();
    kept.open_again();
  }
  const Run& run = *kept.runs().find(1);
  CHECK(run.event_ids.empty());
  CHECK_FALSE(run.has_received("0"));
  CHECK_FALSE(run.has_received("1"));
  CHECK(run.has_received("2"));
  CHECK(run.has_received(std::to_string(kEventIdsCarried + 1)));
}

TEST_CASE("a run that an older version continued and whose beginning is gone is none") {
  RunTable runs;
  runs.apply({.lsn = 7,
              .run = 1,
              .ordinal = 3,
              .type = journal::Type::continued,
              .body = journal::Continued().encode()});
  runs.opened(7);
  CHECK(runs.newest_first().empty());
}

TEST_CASE("what is said of a run whose beginning is gone makes no run of it") {
  Kept kept;
  kept.create(1);
  kept.create(2);
  kept.go_on(2, 1);
  kept.end(1);
  kept.trim();
  RunTable again = kept.opened();
  CHECK(again.find(1) == nullptr);
  CHECK(again.newest_first().size() == 1);
}

}  // namespace cellar::cell
