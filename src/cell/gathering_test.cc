#include "cell/gathering.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "cell/cell_journal.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using std::chrono::microseconds;

const Gathering::TimePoint kTold{std::chrono::hours(1)};

// Whether a write begins at once when `came` of those that were told have come back.
bool begins(std::size_t told, std::size_t came, microseconds later = microseconds(1)) {
  Gathering gathering;
  gathering.told(told, kTold);
  for (std::size_t i = 0; i < came; ++i) gathering.came();
  return gathering.is_enough(came, kTold + later);
}

}  // namespace

TEST_CASE("one step after the other is never delayed") {
  CHECK(begins(0, 1));
  CHECK(begins(1, 1));
}

TEST_CASE("a write waits for two thirds of the steps that were told of their ends together") {
  CHECK_FALSE(begins(2, 1));
  CHECK(begins(2, 2));
  CHECK(begins(3, 2));
  CHECK_FALSE(begins(16, 10));
  CHECK(begins(16, 11));
  CHECK(begins(16, 12));
}

TEST_CASE("a step that comes long after the others were told is not delayed") {
  CHECK_FALSE(begins(16, 1, Gathering::kLengthMax - microseconds(1)));
  CHECK(begins(16, 1, Gathering::kLengthMax));
}

TEST_CASE("what is missing is counted over several writes, but not for ever") {
  Gathering gathering;
  gathering.told(6, kTold);
  for (int i = 0; i < 4; ++i) gathering.came();
  gathering.told(4, kTold + microseconds(300));  // Two of the first six are missing.
  gathering.came();
  CHECK_FALSE(gathering.is_enough(3, kTold + microseconds(600)));
  gathering.came();
  CHECK(gathering.is_enough(8, kTold + microseconds(600)));

  gathering.told(3, kTold + std::chrono::seconds(1));  // The four are not waited for any more.
  gathering.came();
  gathering.came();
  CHECK(gathering.is_enough(2, kTold + std::chrono::seconds(1)));
}

TEST_CASE("nobody is waited for who was given up") {
  Gathering gathering;
  gathering.told(16, kTold);
  gathering.give_up();
  CHECK(gathering.is_enough(1, kTold));
}

TEST_CASE("a write waits no longer than a moment for those who do not come back") {
  const testing::TempDir dir;
  asio::io_context loop;
  async::Pool pool(1);
  RunTable runs;
  CellJournal journal(loop.get_executor(), pool, pool, dir.path(), "dev--a", runs);
  std::size_t told_count = 0;
  auto use = [&]() -> asio::awaitable<void> {
    for (const std::size_t together : {4, 1}) {
      for (std::size_t i = 0; i < together; ++i) {
        journal::Event event;
        event.type = "log";
        event.data = "1";
        journal.append(0, 0, event);
        journal.when_durable([&told_count] { ++told_count; });
      }
      const bool is_durable =
          co_await journal.advanced(journal.last_appended() - 1, std::chrono::seconds(10));
      CHECK(is_durable);
    }
    co_await journal.close();
  };
  std::exception_ptr failure;
  asio::co_spawn(loop, use(), [&](const std::exception_ptr& error) { failure = error; });
  loop.run();
  CHECK(failure == nullptr);
  CHECK(told_count == 5);
}

}  // namespace cellar::cell
