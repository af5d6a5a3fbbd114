#include "cell/cell_journal_fixture.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

const CellJournal::Look kAll;
const CellJournal::Look kTwo{.limit = 2};

void start_step(CellJournal& journal, std::uint32_t ordinal, const std::string& name,
                std::uint32_t execution = 1) {
  journal::StepStart start;
  start.kind = "step";
  start.name = name;
  start.occ = execution;
  journal.append(1, ordinal, start);
}

void end_step(CellJournal& journal, std::uint32_t ordinal, const std::string& value) {
  journal::StepEnd end;
  end.ok = true;
  end.value.bytes = value;
  journal.append(1, ordinal, end);
}

std::string types_of(const std::vector<RunEvent>& events) {
  std::string text;
  for (const RunEvent& event : events) text += (text.empty() ? "" : " ") + event.type;
  return text;
}

}  // namespace

TEST_CASE("a run is the same after the journal was opened again") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    begin(journal, "run_1");
    start_step(journal, 1, "one");
    end_step(journal, 1, "11");
    start_step(journal, 2, "two");
    co_await journal.sync();
  });
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    Run* run = runs.find("run_1");
    REQUIRE(run != nullptr);
    CHECK(run->status == RunStatus::running);
    CHECK(run->steps_done() == 1);
    CHECK(journal.read_value(run->steps.at(1).outcome) == "11");
    CHECK(run->steps.at(2).status == StepStatus::open);
    CHECK(runs.unfinished().size() == 1);
    co_return;
  });
}

TEST_CASE("events are what is durable, in order, and go on behind any of them") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_1");
    start_step(journal, 1, "one");
    const Run& run = *runs.find("run_1");
    const auto none = co_await journal.events(run, 0, kAll);
    CHECK(none.list.empty());  // Nothing is on disk yet.
    co_await journal.sync();
    start_step(journal, 1, "one", 2);
    end_step(journal, 1, "11");
    journal::RunEnded ended;
    ended.status = "completed";
    ended.value.bytes = "[1]";
    journal.append(1, 0, ended);
    co_await journal.sync();

    const auto all = co_await journal.events(run, 0, kAll);
    CHECK(types_of(all.list) == "run.started step.started reset step.completed run.completed");
    CHECK(all.list.back().data == R"({"result":[1]})");
    CHECK(is_last(all.list.back()));
    for (std::size_t i = 0; i < all.list.size(); ++i) {
      const auto rest = co_await journal.events(run, all.list[i].seq, kAll);
      CHECK(rest.list.size() == all.list.size() - i - 1);
    }
    const auto first = co_await journal.events(run, 0, kTwo);
    CHECK((first.more && first.seen >= all.list[first.list.size() - 1].seq));
  });
}

TEST_CASE("the events of a cell are those of all its runs and its own, in one order") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    const auto nothing = co_await journal.events(0, kAll);
    CHECK(nothing.list.empty());
    CHECK_FALSE(nothing.more);
    journal.append(0, 0, journal::Event{.type = "cell.paused", .data = "{}"});
    begin(journal, "run_1");
    CHECK((co_await journal.events(0, kAll)).list.empty());  // Nothing is on disk yet.
    start_step(journal, 1, "one");
    journal.append(0, 0, journal::Event{.type = "cell.resumed", .data = "{}"});
    end_step(journal, 1, "11");
    co_await journal.sync();

    const auto all = co_await journal.events(0, kAll);
    CHECK(types_of(all.list) == "cell.paused run.started step.started cell.resumed step.completed");
    CHECK(all.list[0].run.empty());
    CHECK(all.list[1].run == "run_1");
    for (std::size_t i = 0; i < all.list.size(); ++i) {
      const auto rest = co_await journal.events(all.list[i].seq, kAll);
      CHECK(rest.list.size() == all.list.size() - i - 1);
    }
    const auto first = co_await journal.events(0, kTwo);
    CHECK((first.more && first.seen == all.list[1].seq));

    const auto is_of_cell = [](const RunEvent& event) { return event.run.empty(); };
    CHECK((co_await journal.before_newest(1, View::live, is_of_cell)) == all.list[3].seq - 1);
    CHECK((co_await journal.before_newest(2, View::live, is_of_cell)) == all.list[0].seq - 1);
    CHECK((co_await journal.before_newest(0, View::live, is_of_cell)) == journal.last_durable());
    CHECK((co_await journal.before_newest(3, View::live, is_of_cell)) == 0);
  });
}

TEST_CASE("a run tells its caller what it streams, that it pauses and that it ends") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_1");
    start_step(journal, 1, "one");
    end_step(journal, 1, "11");
    const Run& run = *runs.find("run_1");
    CHECK(run.told == 0);  // Of its steps nothing.
    journal::Event event;
    event.type = "stream";
    event.data = "1";
    journal.append(1, 0, event);  // Inside a step, too.
    CHECK(run.told == journal.last_appended());
    end_step(journal, 1, "11");
    CHECK(run.told < journal.last_appended());
    journal.append(1, 0, journal::Paused{.reason = "crash_loop", .detail = {}});
    CHECK(run.told == journal.last_appended());
    journal.append(1, 0, journal::RunEnded{.status = "completed"});
    CHECK(run.told == journal.last_appended());
    co_return;
  });
}

TEST_CASE("those who wait are woken by what becomes durable, or by their limit") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    begin(journal, "run_1");
    journal.sync_soon();
    const std::chrono::seconds kLong(10);
    const std::chrono::milliseconds kShort(1);
    const bool advanced = co_await journal.advanced(0, kLong);
    CHECK(advanced);
    const bool more = co_await journal.advanced(journal.last_durable(), kShort);
    CHECK_FALSE(more);
  });
}

TEST_CASE("a large value is kept outside the records and comes back whole") {
  const testing::TempDir dir;
  const std::string large(200'000, 'x');
  with_journal(dir.file("j"), [&](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_1");
    journal::StepEnd end;
    end.ok = true;
    end.value = co_await journal.store_value("\"" + large + "\"");
    CHECK(end.value.blob);
    start_step(journal, 1, "one");
    journal.append(1, 1, end);
    co_await journal.sync();
    CHECK(journal.read_value(runs.find("run_1")->steps.at(1).outcome) == "\"" + large + "\"");
  });
}

TEST_CASE("only attempts that are the agent's doing count, and a finished step forgives them") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_1");
    const Run& run = *runs.find("run_1");
    attempt_again(journal, 2, "daemon_restart");
    CHECK(run.attempts_without_progress == 0);
    attempt_again(journal, 3, "agent_exit");
    attempt_again(journal, 4, "oom");
    CHECK(run.attempts_without_progress == 2);
    start_step(journal, 1, "one");
    end_step(journal, 1, "1");
    CHECK(run.attempts_without_progress == 0);
    CHECK(run.attempt == 4);
    co_return;
  });
}

TEST_CASE("a step that is given up since it was interrupted is no progress") {
  const testing::TempDir dir;
  with_journal(dir.file("j"), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_1");
    start_step(journal, 1, "one");
    attempt_again(journal, 2, "agent_exit");
    journal.append(1, 1, journal::StepInterrupted{.attempt = 1});
    end_step(journal, 1, "1");
    CHECK(runs.find("run_1")->attempts_without_progress == 1);
    co_return;
  });
}

TEST_CASE("what waits for the disk is told in the order of the records") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    std::string order;
    begin(journal, "run_a");
    for (std::uint32_t ordinal = 1; ordinal <= 5; ++ordinal) {
      start_step(journal, ordinal, "s");
      end_step(journal, ordinal, "1");
      const journal::Lsn lsn = journal.last_appended();
      auto told = [&order, &journal, ordinal, lsn] {
        CHECK(journal.last_durable() >= lsn);
        order += std::to_string(ordinal);
      };
      journal.when_durable(told);
      if (ordinal == 3) co_await journal.sync();  // What comes then is in another batch.
    }
    CHECK(order == "123");
    co_await journal.sync();
    CHECK(order == "12345");
    journal.when_durable([&order] { order += "6"; });  // There is nothing to wait for.
    CHECK(order == "123456");
  });
}

TEST_CASE("a step is interrupted until somebody decides about it") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_a");
    start_step(journal, 1, "pay");
    const Step& step = runs.find("run_a")->steps.at(1);
    CHECK(step.is_interrupted());
    journal::StepInterrupted decided;
    decided.attempt = 1;
    decided.cause = "decided";
    journal.append(1, 1, decided);
    CHECK_FALSE(step.is_interrupted());
    start_step(journal, 1, "pay", 2);
    CHECK(step.is_interrupted());
    journal::StepAttemptFailed failed;
    failed.attempt = 3;
    failed.error = "{}";
    failed.next_at_ns = 5'000'000;
    journal.append(1, 1, failed);
    CHECK(step.failed_attempts == 3);
    CHECK(step.retry_at == from_unix_ms(5));
    end_step(journal, 1, "1");
    CHECK_FALSE(step.is_interrupted());
    co_return;
  });
}

TEST_CASE("a run that rolls back leaves what its method had going, and waits for nothing") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_a");
    start_step(journal, 1, "open");
    const Run& run = *runs.find("run_a");
    CHECK_FALSE(run.leaves(run.steps.at(1)));
    journal::CancelRequested requested;
    requested.rollback = true;
    journal.append(1, 0, requested);
    CHECK_FALSE(run.ends_at_once());
    CHECK(run.leaves(run.steps.at(1)));
    journal::Value mark;
    mark.kind = kRollback;
    mark.name = "cancelled";
    mark.value.bytes = "{}";
    journal.append(1, 2, mark);
    CHECK(run.open.empty());
    end_step(journal, 1, "1");  // It was on its way: no replay may count on it.
    CHECK(run.steps.at(1).status == StepStatus::open);
    start_step(journal, 3, "rollback a");
    CHECK(run.leaves(run.steps.at(1)));
    CHECK_FALSE(run.leaves(run.steps.at(3)));
    CHECK_FALSE(run.is_only_waiting());
    journal.append(1, 0, journal::CancelRequested());  // Without rollback: that one counts.
    CHECK(run.ends_at_once());
    co_return;
  });
}

TEST_CASE("a run that waits may stay out of the agent only where it has left it") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_a");
    const Run& run = *runs.find("run_a");
    journal.append(1, 1, journal::StepStart{.kind = "wait", .name = "w", .occ = 1, .args = "{}"});
    CHECK(run.is_only_waiting());
    CHECK_FALSE(run.has_left());  // Its code may be about to begin a step.
    journal.append(1, 0, journal::Left());
    CHECK(run.has_left());
    journal.append(1, 0, journal::RunAttempt{.n = 2, .cause = "wake"});
    CHECK_FALSE(run.has_left());
    journal.append(1, 0, journal::Left());
    end_step(journal, 1, "1");
    CHECK_FALSE(run.has_left());
    co_return;
  });
}

TEST_CASE("a run that was cancelled since it is paused has to go on, or to end") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    begin(journal, "run_a");
    const auto expect = [&](bool goes_on) { CHECK(runs.kept_from_ending().size() == goes_on); };
    journal::CancelRequested requested;
    requested.rollback = true;
    journal.append(1, 0, journal::Paused());
    expect(false);
    journal.append(1, 0, requested);
    expect(true);
    journal.append(1, 0, journal::Resumed());
    expect(false);
    journal.append(1, 0, journal::Paused());  // By what it did since.
    expect(false);
    journal.append(1, 0, journal::CancelRequested());  // Without rollback.
    expect(true);
    co_return;
  });
}

}  // namespace cellar::cell
