#include "net/resolver.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <set>

#include "async/sleep.h"
#include "async/task_group.h"
#include "async/test_run.h"

namespace cellar::net {
namespace {

using Hosts = std::multiset<std::string>;

constexpr std::chrono::seconds kAskedMax{10};
constexpr std::chrono::milliseconds kAskedPause{1};

// A host whose servers answer for a name once that is let go of.
class SlowHost {
 public:
  HostResolver::Ask ask() {
    return [this](const std::string& host, boost::system::error_code&) {
      std::unique_lock lock(mutex_);
      asked_.insert(host);
      changed_.wait(lock, [&] { return let_go_.contains(host) || let_go_.contains("*"); });
      return std::vector<asio::ip::address>{asio::ip::make_address("203.0.113.7")};
    };
  }
  Hosts asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void let_go(const std::string& host) {
    const std::lock_guard lock(mutex_);
    let_go_.insert(host);
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Hosts asked_;
  std::set<std::string> let_go_;
};

// Eight threads: four for the lookups of one cell, one for the daemon's own.
struct Asking {
  void play(asio::awaitable<void> test) { async::run_on(loop, ends(std::move(test))); }
  // Asks for a1 … aN in the name of "a".
  void begin(const std::string& asker, int count) {
    for (int i = 1; i <= count; ++i) tasks.spawn(ask_for(asker + std::to_string(i), asker));
  }
  asio::awaitable<void> ask_for(std::string name, std::string asker) {
    const auto addresses =
        co_await resolver.resolve(std::move(name), std::move(asker), Resolver::Work());
    answered_count += addresses.size();
  }
  // Waits until as many were asked for.
  asio::awaitable<void> are_asked(std::size_t count) {
    auto are = [this, count] { return host.asked().size() >= count; };
    co_await async::poll_until("the host is asked", are, kAskedMax, kAskedPause);
  }
  asio::awaitable<void> ends(asio::awaitable<void> test) {
    std::exception_ptr error;
    try {
      co_await std::move(test);
    } catch (...) {
      error = std::current_exception();
    }
    host.let_go("*");
    co_await tasks.join();
    if (error) std::rethrow_exception(error);
  }

  SlowHost host;
  asio::io_context loop{1};
  HostResolver resolver{loop.get_executor(), 8, host.ask()};
  async::TaskGroup tasks{loop.get_executor()};
  std::size_t answered_count = 0;
};

}  // namespace

TEST_CASE("the host's own resolver knows localhost, and has nothing for a broken name") {
  asio::io_context loop;
  HostResolver resolver(loop.get_executor(), 1);
  std::vector<asio::ip::address> addresses;
  std::vector<asio::ip::address> none;
  auto test = [&]() -> asio::awaitable<void> {
    const Resolver::Work nobody;
    addresses = co_await resolver.resolve("localhost", "", nobody);
    none = co_await resolver.resolve("a..b", "", nobody);
  };
  asio::co_spawn(loop, test(), [](const std::exception_ptr& error) { CHECK(!error); });
  loop.run();
  REQUIRE_FALSE(addresses.empty());
  CHECK(addresses.front().is_loopback());
  CHECK(none.empty());
}

TEST_CASE("an answer that is late is kept, and one that never came takes nobody's") {
  asio::io_context loop;
  SlowHost host;
  std::atomic<int> asked = 0;
  const auto slow_at_first = [&](const std::string& name, boost::system::error_code& error) {
    auto answer = host.ask();
    if (asked++ == 0) return answer(name, error);
    return std::vector<asio::ip::address>{asio::ip::make_address("203.0.113.8")};
  };
  HostResolver resolver(loop.get_executor(), 8, slow_at_first, std::chrono::milliseconds(100));
  async::TaskGroup tasks(loop.get_executor());
  std::size_t answered = 0;
  auto ask = [&]() -> asio::awaitable<void> {
    const Resolver::Work nobody;
    const auto addresses = co_await resolver.resolve("a", "", nobody);
    answered += addresses.size();
  };
  auto test = [&]() -> asio::awaitable<void> {
    tasks.spawn(ask());
    auto is_asked = [&] { return asked == 1; };
    co_await async::poll_until("the host is asked", is_asked, kAskedMax, kAskedPause);
    co_await ask();  // Another cell, say, which is answered.
    CHECK(answered == 1);
    co_await tasks.join();  // Nothing in time.
    co_await ask();
    CHECK(asked == 2);
    CHECK(answered == 2);
    host.let_go("*");
  };
  async::run_on(loop, test());
}

TEST_CASE("cells whose names nobody answers leave threads to others, and one to the daemon") {
  Asking asking;
  auto test = [&]() -> asio::awaitable<void> {
    asking.begin("a", 6);
    co_await asking.are_asked(4);
    for (const char* cell : {"b", "c", "d", "e"}) asking.begin(cell, 2);
    co_await asking.are_asked(7);
    asking.begin("", 2);
    co_await asking.are_asked(8);
    const Hosts all{"a1", "a2", "a3", "a4", "b1", "c1", "d1", "1"};
    CHECK(asking.host.asked() == all);
  };
  asking.play(test());
  CHECK(asking.host.asked().size() == 16);
  CHECK(asking.answered_count == 16);
}

TEST_CASE("who waits for a thread has it by turns of the cells") {
  Asking asking;
  auto test = [&]() -> asio::awaitable<void> {
    for (const char* cell : {"a", "b", "c", "d", "e", "f", "g"}) asking.begin(cell, 1);
    co_await asking.are_asked(7);
    asking.begin("h", 3);
    asking.begin("i", 1);
    asking.host.let_go("a1");
    co_await asking.are_asked(8);
    asking.host.let_go("b1");
    co_await asking.are_asked(9);
    CHECK(asking.host.asked().contains("h1"));
    CHECK(asking.host.asked().contains("i1"));
  };
  asking.play(test());
  CHECK(asking.answered_count == 11);
}

}  // namespace cellar::net
