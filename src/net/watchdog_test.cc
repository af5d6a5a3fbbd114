#include "net/watchdog.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "async/sleep.h"

namespace cellar::net {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST_CASE("a watchdog bites once, when nobody has touched it for its limit") {
  asio::io_context loop;
  int bites = 0;
  const auto start = Clock::now();
  const Watchdog dog(loop.get_executor(), milliseconds(5), [&] { ++bites; });
  loop.run();
  CHECK(bites == 1);
  CHECK(Clock::now() - start >= milliseconds(5));
}

TEST_CASE("a watchdog that is touched waits on, and one that is destroyed never bites") {
  asio::io_context loop;
  const milliseconds limit(100);
  int bites = 0;
  auto test = [&]() -> asio::awaitable<void> {
    Watchdog dog(loop.get_executor(), limit, [&] { ++bites; });
    const auto start = Clock::now();
    auto touched = start;
    Clock::duration longest{0};
    while (Clock::now() - start < 2 * limit) {
      co_await async::sleep_for(milliseconds(1));
      longest = std::max(longest, Clock::now() - touched);
      touched = Clock::now();
      dog.touch();
    }
    // A machine that stood still for so long proves nothing.
    const bool may_bite = longest >= limit;
    CHECK((bites == 0 || may_bite));
    bites = 0;
  };
  asio::co_spawn(loop, test(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  CHECK(bites == 0);
}

}  // namespace cellar::net
