#include <filesystem>
#include <map>

#include "base/error.h"
#include "cell/cell_journal_fixture.h"
#include "testing/temp_dir.h"

// What a cell's journal lets go, and what it does where there is no room for more.
namespace cellar::cell {
namespace {

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
const auto unused = [] { return CellJournal::Used::nothing; };
const auto runs_are_used = [] { return CellJournal::Used::ended_runs; };

}  // namespace

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
    co_await journal.trim(wall_now() - std::chrono::hours(1), unused);
    co_await journal.trim(kLater, runs_are_used);
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

TEST_CASE("once a journal is crowded no generation that ended is kept, and no blob of one") {
  const testing::TempDir dir;
  const auto test = [&](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    const auto long_ago = wall_now() - std::chrono::hours(1);
    const auto go_on = [&](std::uint32_t number) -> asio::awaitable<void> {
      const Run& run = *runs.find(number);
      journal::Carried carried;
      carried.run_id = run.id;
      carried.value.bytes = "{}";
      carried.idem_key = run.idempotency_key;
      journal::Continued continued;
      const std::string state = std::to_string(run.generation) + std::string(400'000, '0');
      continued.value = co_await journal.store_value(state);
      journal.append(number, 0, carried);
      journal.append(number, 0, continued);
      co_await journal.sync();
    };
    begin_large(journal, 1);
    co_await go_on(1);
    co_await journal.trim(long_ago, runs_are_used);
    CHECK(journal.first() == 1);
    journal.limit(32 << 20);
    for (int i = 0; i < 100; ++i) {  // More than the limit.
      co_await go_on(1);
      co_await journal.trim(long_ago, runs_are_used);
      REQUIRE_FALSE(journal.is_full());
    }
    CHECK(journal.first() > 100);
    CHECK(numbers_of(runs) == "1 ");
    CHECK(runs.find_key("key-1")->generation == 102);
    const auto reading = [] { return CellJournal::Used::history; };
    const journal::Lsn first = journal.first();
    while (!journal.is_crowded()) co_await go_on(1);
    co_await journal.trim(long_ago, reading);
    CHECK(journal.first() == first);
  };
  with_journal(dir.path(), test);
  with_journal(dir.path(), [](CellJournal& journal, RunTable& runs) -> asio::awaitable<void> {
    CHECK(runs.find_key("key-1")->id == "run_1_x");
    CHECK(journal.read_value(runs.find(1)->created) == "{}");
    co_return;
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
