#include "async/lane.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <future>
#include <vector>

#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"
#include "base/error.h"

namespace cellar::async {
namespace {

using std::chrono::milliseconds;

}  // namespace

TEST_CASE("jobs of a lane are done one at a time, in order, and give what they have") {
  Pool pool(4);
  asio::io_context loop;
  const Lane lane(pool);
  std::vector<int> order;  // Of one thread at a time.
  auto test = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 100; ++i) lane.post([&order, i] { order.push_back(i); });
    auto count = [&order] { return order.size(); };
    const std::size_t seen = co_await run_in(lane, count);
    CHECK(seen == 100);
    CHECK(lane.posted_count() == 0);
    auto fail = [] { throw Error(ErrorCode::corrupt, "bad"); };
    CHECK_THROWS_AS(co_await run_in(lane, fail), Error);
  };
  run_on(loop, test());
  for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a job that is stuck holds up its lane and nobody else, and who is canceled goes") {
  Pool pool(2);
  asio::io_context loop;
  const Lane stuck(pool);
  const Lane other(pool);
  std::promise<void> go_on;
  auto owned = std::make_shared<int>(7);
  bool was_canceled = false;
  auto waits = [&]() -> asio::awaitable<void> {
    auto job = [&go_on, owned] { go_on.get_future().wait(); };
    try {
      co_await run_in(stuck, job);
    } catch (const Error& error) {
      was_canceled = error.code() == ErrorCode::canceled;
    }
  };
  auto test = [&]() -> asio::awaitable<void> {
    TaskGroup tasks(loop.get_executor());
    tasks.spawn(waits());
    stuck.post([] {});
    auto one = [] { return 1; };
    for (int i = 0; i < 10; ++i) CHECK(co_await run_in(other, one) == 1);
    co_await sleep_for(milliseconds(1));
    co_await tasks.close();
    CHECK(was_canceled);
    CHECK(stuck.posted_count() == 1);
    CHECK(owned.use_count() == 2);  // The job's.
    go_on.set_value();
    CHECK(co_await run_in(stuck, one) == 1);
    CHECK(stuck.posted_count() == 0);
    CHECK(owned.use_count() == 1);
  };
  run_on(loop, test());
}

}  // namespace cellar::async
