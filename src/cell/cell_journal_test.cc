#include "cell/cell_journal.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "async/test_run.h"
#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

const CellJournal::Look kAll;
const CellJournal::Look kTwo{.limit = 2};

// Opens the journal in `dir`, lets `test` use it, and closes it.
using Test = std::function<asio::awaitable<void>(CellJournal&, RunTable&)>;
void with_journal(const std::string& dir, const Test& test) {
  asio::io_context loop;
  async::Pool pool(2);
  RunTable runs;
  CellJournal journal(loop.get_executor(), pool, pool, dir, "dev--a", runs);
  auto drive = [&]() -> asio::awaitable<void> {
    std::exception_ptr failed;
    try {
      co_await test(journal, runs);
    } catch (...) {
      failed = std::current_exception();
    }
    co_await journal.close();
    if (failed) std::rethrow_exception(failed);
  };
  async::run_on(loop, drive());
}

void begin(CellJournal& journal, const std::string& id) {
  journal::RunCreated created;
  created.run_id = id;
  created.method = "m";
  created.params = "{}";
  created.agent_digest = "d";
  journal.append(1, 0, created);
  journal::RunAttempt attempt;
  attempt.n = 1;
  attempt.cause = "start";
  journal.append(1, 0, attempt);
}

void attempt_again(CellJournal& journal, std::uint32_t n, const std::string& cause) {
  journal::RunAttempt attempt;
  attempt.n = n;
  attempt.cause = cause;
  journal.append(1, 0, attempt);
}

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

// A run that takes up most of a segment, the first one that of the first.
void begin_large(CellJournal& journal, std::uint32_t number, const std::string& forked_from = {}) {
  journal::RunCreated created;
  created.run_id = "run_" + std::to_string(number) + "_x";
  created.idem_key = "key-" + std::to_string(number);
  created.params = "\"" + std::string(50'000ULL << 2 * std::min(number - 1, 3U), 'p') + "\"";
  created.setup = number == 1;
  journal.append(number, 0, created);
  if (forked_from.empty()) return;
  journal::ForkedFrom forked;
  forked.run_id = forked_from;
  journal.append(number, 0, forked);
}

void end(CellJournal& journal, std::uint32_t number) {
  journal::RunEnded ended;
  ended.status = "completed";
  ended.value.bytes = "[1]";
  journal.append(number, 0, ended);
}

// The numbers of the runs that are there, the newest first.
std::string numbers_of(const RunTable& runs) {
  std::string text;
  for (const Run* run : runs.newest_first()) text += std::to_string(run->number) + " ";
  return text;
}

const WallTime kLater = wall_now() + std::chrono::hours(1);
const auto unused = [] { return false; };

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

TEST_CASE("runs that ended before are removed from the front, and never come back") {
  const testing::TempDir dir;
  const auto check = [](RunTable& runs) {
    CHECK(numbers_of(runs) == "4 3 ");
    CHECK(runs.find("run_1_x") == nullptr);
    CHECK(runs.is_trimmed("run_1_x"));
    CHECK_FALSE(runs.is_trimmed("run_3_x"));
    CHECK_FALSE(runs.is_trimmed("run_5_x"));
    CHECK_FALSE(runs.is_trimmed("run_0011223344556677"));
    CHECK(runs.find_key("key-2") == nullptr);
    CHECK(runs.find_key("key-3") != nullptr);
    CHECK(runs.setup_done());
  };
  with_journal(dir.path(), [&](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    for (std::uint32_t number = 1; number <= 4; ++number) {
      begin_large(journal, number);
      if (number != 3) end(journal, number);
      co_await journal.sync();
    }
    const auto used = [] { return true; };
    co_await journal.trim(wall_now() - std::chrono::hours(1), unused);
    co_await journal.trim(kLater, used);
    CHECK(numbers_of(runs) == "4 3 2 1 ");
    const Run& before = *runs.find(3);
    co_await journal.trim(kLater, unused);
    CHECK(runs.find(3) == &before);
    check(runs);
    end(journal, 1);  // What comes late for one that is gone is nothing.
    co_await journal.sync();
  });
  with_journal(dir.path(), [&](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    check(runs);
    CHECK(journal.read<journal::RunCreated>(runs.find(3)->created).run_id == "run_3_x");
    co_return;
  });
}

TEST_CASE("where all runs are removed their numbers are not used again") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    for (std::uint32_t number = 1; number <= 2; ++number) {
      begin_large(journal, number);
      co_await journal.sync();
    }
    // Their ends alone are in the last segment.
    journal.append(2, 0, journal::Progress{.value = std::string(250'000, '1')});
    co_await journal.sync();
    end(journal, 1);
    end(journal, 2);
    co_await journal.sync();
    co_await journal.trim(kLater, unused);
    CHECK(numbers_of(runs).empty());
    CHECK(runs.next_number() == 3);
  });
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    CHECK(numbers_of(runs).empty());
    CHECK(runs.next_number() == 3);
    CHECK(runs.setup_done());
    begin_large(journal, 3);
    CHECK(numbers_of(runs) == "3 ");
    CHECK(runs.is_trimmed("run_2_x"));
    co_return;
  });
}

TEST_CASE("a run stays as long as one that was begun from it again, and its children with it") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    const std::map<std::uint32_t, std::string> forks = {{5, "run_3_x"}, {3, "run_2_x"}};
    for (std::uint32_t number = 1; number <= 5; ++number) {
      begin_large(journal, number, forks.contains(number) ? forks.at(number) : "");
      if (number != 5) end(journal, number);
      co_await journal.sync();
    }
    co_await journal.trim(kLater, unused);
    CHECK(numbers_of(runs) == "5 4 3 2 ");
    end(journal, 5);
    co_await journal.sync();
    co_await journal.trim(kLater, unused);
    CHECK_FALSE(numbers_of(runs).starts_with("5 4 3 2 "));
  });
}

TEST_CASE("a blob that is stored and not in a record yet is not removed with the last one") {
  const testing::TempDir dir;
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    const std::string large(70'000, 'x');
    begin_large(journal, 1);
    journal::RunEnded ended;
    ended.status = "completed";
    ended.value = co_await journal.store_value(large);
    journal.append(1, 0, ended);
    co_await journal.sync();
    for (std::uint32_t number = 2; number <= 3; ++number) {
      begin_large(journal, number);
      co_await journal.sync();
    }
    ended.value = co_await journal.store_value(large);  // The same once more.
    co_await journal.trim(kLater, unused);
    CHECK(numbers_of(runs) == "3 2 ");
    CHECK(journal.bytes_of(ended.value) == large);
    journal.append(2, 0, ended);
    co_await journal.sync();
    end(journal, 3);
    co_await journal.sync();
    CHECK(journal.read_value(runs.find(2)->ended) == large);
  });
}

// ---- room ----

namespace {

// A folder in the place of the file that is made first: no segment is made while it is there.
class Blocked {
 public:
  explicit Blocked(const std::string& dir) : path_(dir + "/spare.tmp") {
    std::filesystem::create_directories(path_);
  }
  ~Blocked() { end(); }
  void end() { std::filesystem::remove(path_); }

 private:
  std::string path_;
};

// Appends until the next segment cannot be made.
asio::awaitable<void> fill(CellJournal& journal, std::uint32_t run) {
  for (int i = 0; i < 1000 && !journal.is_full(); ++i) {
    journal.append(run, 0, journal::Progress{.value = std::string(50'000, '1')});
    co_await journal.advanced(journal.last_durable(), std::chrono::milliseconds(100));
    journal.sync_soon();
  }
}

}  // namespace

TEST_CASE("a journal whose next segment cannot be made is full, says so, and goes on by itself") {
  const testing::TempDir dir;
  Blocked blocked(dir.path());
  const auto test = [&](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    int told_count = 0;
    journal.on_room([&] { ++told_count; });
    begin(journal, "run_1_x");
    const bool is_room = co_await journal.make_room(5000);
    CHECK_FALSE(is_room);
    CHECK(journal.is_full());
    CHECK(told_count > 0);
    CHECK(journal.last_durable() == 0);
    CHECK_THROWS_AS(journal.require_place(), Error);
    blocked.end();
    told_count = 0;
    co_await journal.sync();
    CHECK(told_count > 0);
    CHECK(journal.last_durable() == 2);
    const bool is_room_now = co_await journal.make_room(5000);
    CHECK(is_room_now);
    CHECK_FALSE(journal.is_full());
    journal.on_room(nullptr);
  };
  with_journal(dir.path(), test);
}

TEST_CASE("a demand that there is no room for does not make the journal full") {
  const testing::TempDir dir;
  const auto test = [&](CellJournal& journal, RunTable&) -> asio::awaitable<void> {
    begin(journal, "run_1_x");
    co_await journal.sync();
    const Blocked blocked(dir.path());
    const bool is_room = co_await journal.make_room(1 << 20);
    CHECK_FALSE(is_room);
    CHECK_FALSE(journal.is_full());
    attempt_again(journal, 2, "oom");
    co_await journal.sync();
    CHECK(journal.last_durable() == 3);
  };
  with_journal(dir.path(), test);
}

TEST_CASE("what is not needed any more goes while the journal is full") {
  const testing::TempDir dir;
  const auto test = [&](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    for (std::uint32_t number = 1; number <= 4; ++number) {
      begin_large(journal, number);
      if (number < 4) end(journal, number);
      co_await journal.sync();
    }
    co_await journal.make_room(3 << 20);  // No file is being made.
    const Blocked blocked(dir.path());
    co_await fill(journal, 4);
    CHECK(journal.is_full());
    co_await journal.trim(kLater, unused);
    CHECK(numbers_of(runs).starts_with("4 "));
    CHECK_FALSE(numbers_of(runs).ends_with(" 1 "));
  };
  with_journal(dir.path(), test);
}

}  // namespace cellar::cell
