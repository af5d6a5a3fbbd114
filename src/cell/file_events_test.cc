#include "cell/file_events.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "async/event.h"
#include "async/test_run.h"
#include "json/json.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLimit{30};

// Quick, but for what a test is about.
FileEvents::Options quick() {
  return {.quiet = milliseconds(1),
          .longest = milliseconds(5),
          .each = milliseconds(1),
          .try_again = milliseconds(1),
          .room_again = milliseconds(1),
          .limits = {}};
}

struct Told {
  testing::TempDir dir;
  sys::BeneathDir work{dir.path()};
  asio::io_context loop;
  async::Pool pool{2};
  async::Event changed{loop.get_executor()};
  std::vector<std::string> list;
  bool has_room = true;

  void write(const std::string& path, std::string_view bytes = "1") const {
    const sys::Fd fd = sys::open_file(dir.file(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sys::write_all(fd.get(), bytes, path);
  }
  void make_folder(const std::string& path) const { sys::make_dirs(dir.file(path), 0755); }

  asio::awaitable<bool> take(json::Value data) {
    if (has_room) list.push_back(json::dump(data));
    changed.set();
    co_return has_room;
  }

  // Until something that was told holds `text`.
  asio::awaitable<void> until(std::string text) {
    const auto is_told = [&] {
      return std::any_of(list.begin(), list.end(),
                         [&](const std::string& one) { return one.find(text) != one.npos; });
    };
    while (!is_told()) {
      changed.reset();
      const bool came = co_await changed.wait_for(kLimit);
      if (!came) FAIL("not told: " << text);
    }
  }

  // Lets `test` use a FileEvents, and closes it.
  using Test = std::function<asio::awaitable<void>(FileEvents&)>;
  void run(const FileEvents::Options& options, const Test& test) {
    auto tell = [this](json::Value data) { return take(std::move(data)); };
    FileEvents events(loop.get_executor(), pool, work, tell, options);
    auto drive = [&]() -> asio::awaitable<void> {
      std::exception_ptr failed;
      try {
        co_await test(events);
      } catch (...) {
        failed = std::current_exception();
      }
      co_await events.close();
      if (failed) std::rethrow_exception(failed);
    };
    async::run_on(loop, drive());
  }
};

}  // namespace

TEST_CASE("what happens to files is told, and nothing where nothing does") {
  Told told;
  told.write("before");
  told.run(quick(), [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    CHECK(told.list.empty());
    told.write("a");
    co_await told.until(R"({"kind":"created","path":"a","type":"file"})");
    std::filesystem::rename(told.dir.file("before"), told.dir.file("b"));
    co_await told.until(R"("path":"b","type":"file","from":"before")");
    const std::size_t count = told.list.size();
    const bool is_known = co_await events.settle();
    CHECK(is_known);
    CHECK(told.list.size() == count);
    told.make_folder("node_modules");
    co_await told.until(R"("more":true,"folders":["node_modules"])");
  });
}

TEST_CASE("what happened before is said to be unknown, where it is") {
  Told told;
  told.run(quick(), [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin("daemon_restart");
    CHECK(told.list ==
          std::vector<std::string>{R"({"changes":[],"reset":true,"reason":"daemon_restart"})"});
  });
}

TEST_CASE("once it is settled all is told, however long it would be gathered") {
  Told told;
  FileEvents::Options slow = quick();
  slow.quiet = std::chrono::hours(1);
  slow.longest = std::chrono::hours(1);
  told.run(slow, [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    told.write("a");
    const bool is_known = co_await events.settle();
    CHECK(is_known);
    REQUIRE(told.list.size() == 1);
    CHECK(told.list[0].find(R"("path":"a")") != std::string::npos);
    told.has_room = false;
    told.write("b");
    const bool is_told = co_await events.settle();
    CHECK_FALSE(is_told);
  });
}

TEST_CASE("what there is no room for is told once there is") {
  Told told;
  told.run(quick(), [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    told.has_room = false;
    told.write("a");
    told.changed.reset();
    co_await told.changed.wait();
    told.write("b");
    told.changed.reset();
    co_await told.changed.wait();
    CHECK(told.list.empty());
    told.has_room = true;
    co_await told.until(R"("path":"a")");
    co_await told.until(R"("path":"b")");
  });
}

TEST_CASE("events beyond the rate wait, and what happens meanwhile is told with them") {
  Told told;
  FileEvents::Options rare = quick();
  rare.burst = 1;
  rare.each = std::chrono::hours(1);
  told.run(rare, [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    told.write("a");
    co_await told.until(R"("path":"a")");
    for (int n = 0; n < 200; ++n) told.write("n" + std::to_string(n));
    auto nothing = [] {};
    for (int n = 0; n < 20; ++n) co_await async::offload(told.pool, nothing);
    told.write("last");
    CHECK(told.list.size() == 1);
    const bool is_known = co_await events.settle();
    CHECK(is_known);
    REQUIRE(told.list.size() == 2);
    CHECK(told.list[1].find(R"("path":"n99")") != std::string::npos);
    CHECK(told.list[1].find(R"("path":"n100")") == std::string::npos);
    CHECK(told.list[1].find(R"("more":true,"folders":["."])") != std::string::npos);
  });
}

TEST_CASE("where more happens than the kernel keeps, that is told, and what comes then") {
  Told told;
  told.write("a");
  FileEvents::Options slow = quick();
  slow.quiet = std::chrono::hours(1);
  slow.longest = std::chrono::hours(1);
  told.run(slow, [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    for (std::size_t n = 0; n < sys::FolderWatch::kChangesMax; ++n) {
      const bool is_back = n % 2 == 1;
      std::filesystem::rename(told.dir.file(is_back ? "b" : "a"),
                              told.dir.file(is_back ? "a" : "b"));
    }
    bool is_known = co_await events.settle();
    CHECK(is_known);
    CHECK(told.list ==
          std::vector<std::string>{R"({"changes":[],"reset":true,"reason":"overflow"})"});
    told.write("after");
    is_known = co_await events.settle();
    CHECK(is_known);
    CHECK(told.list.back().find(R"("path":"after")") != std::string::npos);
  });
}

TEST_CASE("what cannot be watched is told once, and watched once it can be") {
  Told told;
  for (const char* name : {"a", "b", "c"}) told.make_folder(name);
  FileEvents::Options few = quick();
  few.limits.folders_max = 3;
  told.run(few, [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    REQUIRE(told.list.size() == 1);
    CHECK(told.list[0].find(R"("reset":true,"reason":"watch_limit","watching":false)") !=
          std::string::npos);
    const bool is_known = co_await events.settle();
    CHECK_FALSE(is_known);
    std::filesystem::remove(told.dir.file("c"));
    co_await told.until(R"("reset":true,"reason":"watched_again")");
    CHECK(told.list.size() == 2);
    told.write("a/x");
    co_await told.until(R"("path":"a/x")");
    const std::size_t count = told.list.size();
    told.make_folder("d");
    while (told.list.size() == count) {
      told.changed.reset();
      co_await told.changed.wait();
    }
    CHECK(told.list.back().find("watch_limit") != std::string::npos);
  });
}

TEST_CASE("rules that change hold for what comes then, and nothing is missed between them") {
  Told told;
  told.write("notes.log");
  told.run(quick(), [&](FileEvents& events) -> asio::awaitable<void> {
    co_await events.begin(std::nullopt);
    told.write(".gitignore", "*.log\n");
    co_await told.until(R"("path":".gitignore")");
    for (int n = 0; n < 50; ++n) told.write("n" + std::to_string(n));
    co_await told.until("n49");
    told.list.clear();
    told.write("notes.log", "2");
    told.write("seen");
    co_await told.until(R"("path":"seen")");
    CHECK(told.list.back().find("notes.log") == std::string::npos);
  });
}

}  // namespace cellar::cell
