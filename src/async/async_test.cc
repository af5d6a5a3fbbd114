#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <thread>
#include <vector>

#include "async/event.h"
#include "async/pool.h"
#include "async/run_to_end.h"
#include "async/serial.h"
#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "base/error.h"

namespace cellar::async {
namespace {

using std::chrono::milliseconds;

asio::awaitable<void> record(Event& event, std::vector<int>& order, int number) {
  co_await event.wait();
  order.push_back(number);
}

}  // namespace

TEST_CASE("an event wakes all that wait, and at once where it is set") {
  asio::io_context loop;
  Event event(loop.get_executor());
  std::vector<int> order;
  auto test = [&]() -> asio::awaitable<void> {
    TaskGroup tasks(loop.get_executor());
    tasks.spawn(record(event, order, 1));
    tasks.spawn(record(event, order, 2));
    const bool early = co_await event.wait_for(milliseconds(5));
    CHECK_FALSE(early);
    event.set();
    co_await event.wait();
    co_await tasks.join();
  };
  run_on(loop, test());
  CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("closing a group cancels what waits and waits until it has ended") {
  asio::io_context loop;
  bool was_canceled = false;
  auto sleeper = [&]() -> asio::awaitable<void> {
    try {
      co_await sleep_for(std::chrono::hours(1));
    } catch (const Error& error) {
      was_canceled = error.code() == ErrorCode::canceled;
      throw;
    }
  };
  auto test = [&]() -> asio::awaitable<void> {
    TaskGroup tasks(loop.get_executor());
    tasks.spawn(sleeper());
    co_await tasks.close();
    CHECK(tasks.size() == 0);
  };
  run_on(loop, test());
  CHECK(was_canceled);
}

TEST_CASE("a job runs on the pool, its result and its exception come back to the loop") {
  asio::io_context loop;
  Pool pool(2);
  auto test = [&]() -> asio::awaitable<void> {
    const auto here = std::this_thread::get_id();
    auto where = [] { return std::this_thread::get_id(); };
    const auto there = co_await offload(pool, where);
    CHECK(there != here);
    CHECK(std::this_thread::get_id() == here);
    auto fail = [] { throw Error(ErrorCode::corrupt, "bad"); };
    bool failed = false;
    try {
      co_await offload(pool, fail);
    } catch (const Error& error) {
      failed = error.code() == ErrorCode::corrupt;
    }
    CHECK(failed);
  };
  run_on(loop, test());
}

TEST_CASE(
    "a pool that ends has done what was posted, by its jobs, too, in the order of the posts") {
  constexpr int kCount = 1'000;
  std::atomic<int> done = 0;
  std::vector<int> order;  // Of one thread.
  {
    Pool pool(3);
    Pool single(1);
    for (int i = 0; i < kCount; ++i) {
      pool.post([&done, &pool] {
        ++done;
        pool.post([&done] { ++done; });
      });
      single.post([&order, i] { order.push_back(i); });
    }
  }
  CHECK(done == 2 * kCount);
  CHECK(std::ranges::is_sorted(order));
  CHECK(order.size() == kCount);
}

TEST_CASE("jobs go on side by side, on as many threads as the pool has, and others wait") {
  constexpr int kThreads = 3;
  std::atomic<int> begun = 0;
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  std::promise<void> all_begun;
  std::promise<std::thread::id> last;
  Pool pool(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    pool.post([&] {
      if (++begun == kThreads) all_begun.set_value();
      gate.wait();
    });
  }
  all_begun.get_future().wait();
  pool.post([&] {
    ++begun;
    last.set_value(std::this_thread::get_id());
  });
  CHECK(begun == kThreads);
  go_on.set_value();
  CHECK(last.get_future().get() != std::this_thread::get_id());
  CHECK(begun == kThreads + 1);
}

TEST_CASE("turns are taken one at a time, in the order in which they were asked for") {
  asio::io_context loop;
  Serial serial(loop.get_executor(), {.waiters_max = 3});
  Event all_wait(loop.get_executor());
  std::vector<int> order;
  auto worker = [&](int number) -> asio::awaitable<void> {
    const Serial::Turn turn = co_await serial.turn();
    order.push_back(number);
    co_await all_wait.wait();
    co_await sleep_for(milliseconds(1));
    order.push_back(-number);
  };
  auto test = [&]() -> asio::awaitable<void> {
    TaskGroup tasks(loop.get_executor());
    for (int number = 1; number <= 4; ++number) tasks.spawn(worker(number));
    co_await sleep_for(milliseconds(0));
    CHECK_THROWS_AS(co_await serial.turn(), Error);  // three wait already
    CHECK_THROWS_AS(co_await serial.turn_within(milliseconds(1)), Error);
    all_wait.set();
    co_await tasks.join();
  };
  run_on(loop, test());
  CHECK(order == std::vector<int>{1, -1, 2, -2, 3, -3, 4, -4});
}

TEST_CASE("a turn that does not come in time is left to the next") {
  asio::io_context loop;
  Serial serial(loop.get_executor());
  auto test = [&]() -> asio::awaitable<void> {
    {
      const Serial::Turn turn = co_await serial.turn();
      CHECK_FALSE(co_await serial.turn_within(milliseconds(1)));
    }
    CHECK(co_await serial.turn_within(milliseconds(1)));
  };
  run_on(loop, test());
}

TEST_CASE("of those that pass at once there are as many as may, and one that gives up is no loss") {
  asio::io_context loop;
  Serial serial(loop.get_executor(), {.at_once = 2});
  int inside = 0;
  int most = 0;
  int done = 0;
  auto worker = [&]() -> asio::awaitable<void> {
    const Serial::Turn turn = co_await serial.turn();
    most = std::max(most, ++inside);
    co_await sleep_for(milliseconds(1));
    --inside;
    ++done;
  };
  auto test = [&]() -> asio::awaitable<void> {
    TaskGroup tasks(loop.get_executor());
    TaskGroup leaving(loop.get_executor());
    for (int number = 0; number < 3; ++number) tasks.spawn(worker());
    leaving.spawn(worker());
    for (int number = 0; number < 3; ++number) tasks.spawn(worker());
    co_await sleep_for(milliseconds(0));
    co_await leaving.close();
    co_await tasks.join();
  };
  run_on(loop, test());
  CHECK(most == 2);
  CHECK(done == 6);
}

TEST_CASE("a job that was begun is waited for, whenever its caller is canceled") {
  asio::io_context loop;
  Pool pool(2);
  std::atomic<int> begun = 0;
  std::atomic<int> ended = 0;
  auto work = [&]() -> asio::awaitable<void> {
    for (;;) {
      auto job = [&] {
        ++begun;
        return ++ended;
      };
      co_await offload(pool, std::move(job));
    }
  };
  auto test = [&]() -> asio::awaitable<void> {
    for (int round = 0; round < 2000; ++round) {
      TaskGroup tasks(loop.get_executor());
      for (int i = 0; i < 4; ++i) tasks.spawn(work());
      co_await sleep_for(milliseconds(0));
      co_await tasks.close();
      CHECK(begun == ended);
    }
  };
  run_on(loop, test());
}

TEST_CASE("what is not ready in time is named") {
  asio::io_context loop;
  auto never = [] { return false; };
  CHECK_THROWS_WITH_AS(
      run_on(loop, poll_until("the agent", never, milliseconds(3), milliseconds(1))),
      "the agent not ready after 3 ms", Error);
}

TEST_CASE("what must run to its end does so when its caller is canceled") {
  asio::io_context loop;
  bool ended = false;
  auto body = [&]() -> asio::awaitable<void> {
    TaskGroup works(loop.get_executor());
    TaskGroup callers(loop.get_executor());
    Event begun(loop.get_executor());
    Event may_end(loop.get_executor());
    auto work = [&]() -> asio::awaitable<int> {
      begun.set();
      co_await may_end.wait();
      ended = true;
      co_return 7;
    };
    auto call = [&]() -> asio::awaitable<void> { co_await run_to_end(works, work()); };
    callers.spawn(call());
    co_await begun.wait();
    co_await callers.close();
    CHECK_FALSE(ended);
    may_end.set();
    co_await works.join();
    CHECK(ended);
    const int again = co_await run_to_end(works, work());
    CHECK(again == 7);
    auto fail = []() -> asio::awaitable<void> {
      throw Error(ErrorCode::conflict, "no");
      co_return;
    };
    bool failed = false;
    try {
      co_await run_to_end(works, fail());
    } catch (const Error& error) {
      failed = error.code() == ErrorCode::conflict;
    }
    CHECK(failed);
    co_await works.close();
    bool refused = false;
    try {
      co_await run_to_end(works, work());
    } catch (const Error& error) {
      refused = error.code() == ErrorCode::canceled;
    }
    CHECK(refused);
  };
  asio::co_spawn(loop, body(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
}

}  // namespace cellar::async
