// How much is read of a journal at once.

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "async/test_run.h"
#include "base/error.h"
#include "cell/cell_journal.h"
#include "cell/image_body.h"
#include "cell/runner.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

// Lets `test` use a journal in which a run has begun its only step.
using RunTest = std::function<asio::awaitable<void>(CellJournal&, const Run&)>;
void with_run(const RunTest& test) {
  const testing::TempDir dir;
  asio::io_context loop;
  async::Pool pool(2);
  RunTable runs;
  CellJournal journal(loop.get_executor(), pool, pool, dir.file("j"), "dev--a", runs);
  auto drive = [&]() -> asio::awaitable<void> {
    journal::RunCreated created;
    created.run_id = "run_1";
    created.params = "{}";
    journal.append(1, 0, created);
    journal::StepStart start;
    start.kind = "step";
    start.name = "one";
    start.occ = 1;
    journal.append(1, 1, start);
    std::exception_ptr failed;
    try {
      co_await test(journal, *runs.find("run_1"));
    } catch (...) {
      failed = std::current_exception();
    }
    co_await journal.close();
    if (failed) std::rethrow_exception(failed);
  };
  async::run_on(loop, drive());
}

// Ends the step so many times, each time with a value of which its event tells nothing.
asio::awaitable<void> append_ends(CellJournal& journal, int count, std::size_t value_bytes) {
  for (int i = 0; i < count; ++i) {
    journal::StepEnd end;
    end.ok = true;
    end.value.bytes = std::string(value_bytes, '1');
    journal.append(1, 1, end);
    co_await journal.sync();
  }
}

std::string types_in(const CellJournal::Events& events) {
  std::string text;
  for (const RunEvent& event : events.list) text += (text.empty() ? "" : " ") + event.type;
  return text;
}

}  // namespace

TEST_CASE(
    "events that are large come a few at a time, and where they begin is found without them") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    for (int i = 0; i < 4; ++i) {
      journal::StepEnd end;
      std::string error = "\"" + std::string(CellJournal::kEventBytesMax / 2, 'x') + "\"";
      end.value = co_await journal.store_value(std::move(error));
      journal.append(1, 1, end);
    }
    co_await journal.sync();
    const CellJournal::Look all;
    const auto some = co_await journal.events(0, all);
    CHECK(some.more);
    CHECK(types_in(some) == "run.started step.started step.completed");
    const auto others = co_await journal.events(some.seen, all);
    CHECK(others.more);
    CHECK(types_in(others) == "step.completed");
    CHECK(others.list.back().data.size() > CellJournal::kEventBytesMax / 2);
    const CellJournal::Look without_values{.values = CellJournal::Look::Values::left};
    const auto left = co_await journal.events(some.seen, without_values);
    CHECK(left.list.back().data.size() < 1000);
    std::size_t largest = 0;
    const auto is_step = [&largest](const RunEvent& event) {
      largest = std::max(largest, event.data.size());
      return event.type.starts_with("step.");
    };
    const journal::Lsn four = co_await journal.before_newest(4, View::live, is_step);
    CHECK(four == journal.last_durable() - 4);
    CHECK(largest < 1000);
  });
}

TEST_CASE("events that whoever follows them may be slow to take come in small pages") {
  with_run([](CellJournal& journal, const Run& run) -> asio::awaitable<void> {
    const std::size_t kBytes = (64 << 10) / 4;
    for (int i = 0; i < 10; ++i) {
      journal.append(1, 1, journal::Progress{.value = "\"" + std::string(kBytes, 'x') + "\""});
    }
    co_await journal.sync();
    const CellJournal::Look all;
    const auto of_cell = co_await journal.events(0, all);
    CHECK(of_cell.more);
    CHECK(of_cell.list.size() == 2 + 4);
    const auto of_run = co_await journal.events(run, 0, all);
    CHECK(of_run.more);
    CHECK(of_run.seen == of_cell.seen);
    const auto rest = co_await journal.events(run, of_run.seen + 3, all);
    CHECK_FALSE(rest.more);
    CHECK(rest.list.size() == 3);
  });
}

TEST_CASE("what is read and not shown counts as well") {
  with_run([](CellJournal& journal, const Run& run) -> asio::awaitable<void> {
    co_await append_ends(journal, 6, CellJournal::kEventBytesMax / 4);
    const CellJournal::Look all;
    const auto of_run = co_await journal.events(run, 0, all);
    CHECK(of_run.more);
    CHECK(of_run.list.size() == 2 + 4);
    CHECK(of_run.seen == 2 + 4);
    const auto rest = co_await journal.events(run, of_run.seen, all);
    CHECK_FALSE(rest.more);
    CHECK(types_in(rest) == "step.completed step.completed");
    const auto of_cell = co_await journal.events(0, all);
    CHECK(of_cell.more);
    CHECK(of_cell.list.size() == 2 + 4);
    CHECK(of_cell.read_bytes >= CellJournal::kEventBytesMax);
  });
}

TEST_CASE("whoever looks for the newest events lets others have their turn, and gives up") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    co_await append_ends(journal, 7, CellJournal::kTailBytesMax / 5);
    bool had_turn = false;
    const auto executor = co_await asio::this_coro::executor;
    asio::post(executor, [&had_turn] { had_turn = true; });
    const auto is_wanted = [](const RunEvent&) { return false; };
    const journal::Lsn place = co_await journal.before_newest(1, View::live, is_wanted);
    CHECK(had_turn);
    CHECK(place == journal.last_durable() - 5);
  });
}

TEST_CASE("a journal that takes as much of the disk as it may is full, and ends what has begun") {
  with_run([](CellJournal& journal, const Run& run) -> asio::awaitable<void> {
    co_await journal.sync();
    journal.limit(journal.stored_bytes());
    for (int i = 0; i < 1000 && !journal.is_full(); ++i) {
      journal.append(1, 1, journal::Progress{.value = std::string(50'000, '1')});
      co_await journal.sync();
    }
    CHECK(journal.is_full());
    const std::uint64_t stored = journal.stored_bytes();
    bool is_refused = false;
    try {
      std::string large(100'000, '1');
      co_await journal.store_value(std::move(large));
    } catch (const Error& error) {
      is_refused = error.reason() == "journal_full" &&
                   std::string(error.what()).find("that it may take") != std::string::npos;
    }
    CHECK(is_refused);
    journal.append(1, 1, journal::StepEnd{.ok = true, .value = {.bytes = "1"}});
    co_await journal.sync();
    CHECK(run.steps.at(1).status == StepStatus::ok);
    CHECK(journal.stored_bytes() == stored);
    journal.limit(4 * stored);
    std::string large(100'000, '1');
    const journal::Payload kept = co_await journal.store_value(std::move(large));
    journal.append(1, 2, journal::Value{.kind = "x", .value = kept});
    CHECK(journal.stored_bytes() >= stored + 100'000);
  });
}

TEST_CASE("more room than a segment may have is never there, and is not waited for") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    const bool is_room = co_await journal.make_room(journal::kRoomBytesMax + 1);
    CHECK_FALSE(is_room);
    CHECK_FALSE(journal.is_full());
    CHECK_THROWS_AS(journal.require_takes(journal::kPendingBytesMax), Error);
  });
}

TEST_CASE("a run only waits where nothing has ended since it began to, or since it left") {
  with_run([](CellJournal& journal, const Run& run) -> asio::awaitable<void> {
    journal.append(1, 2, journal::StepStart{.kind = "wait", .name = "w", .occ = 1, .args = "{}"});
    CHECK_FALSE(run.has_only_waits_open());
    journal.append(1, 1, journal::StepEnd{.ok = true, .value = {.bytes = "1"}});
    CHECK(run.has_only_waits_open());
    CHECK_FALSE(run.is_only_waiting());  // What has ended may have set more going.
    journal.append(1, 0, journal::Left());
    CHECK(run.has_left());
    journal.append(1, 2, journal::StepEnd{.ok = true, .value = {.bytes = "1"}});
    CHECK_FALSE(run.has_only_waits_open());
    CHECK_FALSE(run.has_left());
    co_return;
  });
}

TEST_CASE("a copy of a record happened when that did") {
  with_run([](CellJournal& journal, const Run& run) -> asio::awaitable<void> {
    constexpr std::uint64_t kLongAgo = 7'000'000'000;
    journal.append_copy(1, {.run = 7,
                            .ordinal = 0,
                            .type = journal::Type::event_received,
                            .t_ns = kLongAgo,
                            .body = journal::EventReceived{.id = "e", .type = "go"}.encode()});
    co_await journal.sync();
    REQUIRE(run.events.size() == 1);
    CHECK(run.events.begin()->second.at == WallTime(std::chrono::nanoseconds(kLongAgo)));
  });
}

TEST_CASE("values that no record names yet count, too") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    co_await journal.sync();
    const std::uint64_t stored = journal.stored_bytes();
    journal.limit(stored + 250'000);
    for (const char digit : {'1', '2'}) {
      std::string value(100'000, digit);
      co_await journal.store_value(std::move(value));
    }
    CHECK(journal.stored_bytes() == stored + 200'000);
    bool is_refused = false;
    try {
      std::string third(100'000, '3');
      co_await journal.store_value(std::move(third));
    } catch (const Error& error) {
      is_refused = error.reason() == "journal_full";
    }
    CHECK(is_refused);
  });
}

namespace {

// A sealing that only says so, of as many bytes more as the real one has.
std::string sealed(std::string_view plain) {
  return std::string(RunnerHost::kSealedMoreBytes, '*') + std::string(plain);
}
std::optional<std::string> opened(std::string_view value) {
  if (!value.starts_with('*')) return std::nullopt;
  return std::string(value.substr(RunnerHost::kSealedMoreBytes));
}

// Keeps the value as that of a step, and adds it.
asio::awaitable<void> add_value(CellJournal& journal, ImageBody& body, std::string value,
                                bool is_sealed = false) {
  journal::StepEnd end;
  end.ok = true;
  end.value = co_await journal.store_value(std::move(value));
  const journal::Lsn lsn = journal.append(1, 1, end);
  co_await journal.sync();
  body.add(lsn, journal.payload_at(lsn), is_sealed);
}

}  // namespace

TEST_CASE("the body of an image is what its values are, held or read anew, sealed or in a blob") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    const auto held = std::make_shared<std::size_t>(0);
    ImageBody body(journal, opened, held);
    std::string want;
    for (int i = 0; i < 320; ++i) {  // More than is held of all bodies together.
      const std::string value(60'000, static_cast<char>('a' + i % 26));
      co_await add_value(journal, body, value);
      want += value;
    }
    for (int i = 0; i < 40; ++i) {
      const std::string value(static_cast<std::size_t>(i * 4'000), static_cast<char>('A' + i % 26));
      co_await add_value(journal, body, sealed(value), true);
      want += value;
    }
    co_await add_value(journal, body, std::string(3'000'000, 'z'));
    want += std::string(3'000'000, 'z');
    CHECK(body.bytes() == want.size());
    CHECK(*held <= ImageBody::kHeldBytesMax);
    CHECK(*held > ImageBody::kHeldBytesMax / 2);
    co_await body.check();
    std::string all, piece;
    do {
      piece = co_await body.next();
      CHECK(piece.size() < 5'000'000);
      all += piece;
    } while (!piece.empty());
    CHECK(all == want);
    CHECK(*held == 0);
  });
}

TEST_CASE("values that open to nothing are not taken for the end of a body") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    ImageBody body(journal, opened, std::make_shared<std::size_t>(0));
    journal::StepEnd end;
    end.ok = true;
    end.value.bytes = sealed("");
    const journal::Lsn lsn = journal.append(1, 1, end);
    co_await journal.sync();
    for (int i = 0; i < 20'000; ++i) body.add(lsn, end.value, true);
    co_await add_value(journal, body, "the last one");
    const std::string piece = co_await body.next();
    CHECK(piece == "the last one");
  });
}

TEST_CASE(
    "what was sealed with another key is met before anything is sent, and nothing stays held") {
  with_run([](CellJournal& journal, const Run&) -> asio::awaitable<void> {
    const auto held = std::make_shared<std::size_t>(0);
    std::string reason;
    {
      ImageBody body(journal, opened, held);
      co_await add_value(journal, body, "plain");
      co_await add_value(journal, body, "of another key", true);
      CHECK(*held > 0);
      try {
        co_await body.check();
      } catch (const Error& error) {
        reason = error.reason();
      }
    }
    CHECK(reason == "values_sealed");
    CHECK(*held == 0);
  });
}

}  // namespace cellar::cell
