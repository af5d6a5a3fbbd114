#include "api/audit_log.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::api {
namespace {

struct AuditFixture {
  testing::TempDir root;
  std::string dir = root.file("audit");
  async::Pool pool{1};
  asio::io_context loop{1};
  AuditLog log{loop.get_executor(), pool, dir, {}};

  void close() {
    asio::co_spawn(loop, log.close(), [](const std::exception_ptr&) {});
    loop.restart();
    loop.run();
  }
  // Whether all was written.
  bool flush() {
    bool is_written = false;
    auto done = [&](const std::exception_ptr& failure) { is_written = !failure; };
    asio::co_spawn(loop, log.flush(), done);
    loop.restart();
    loop.run();
    return is_written;
  }
  void note(int status) {
    audit::Entry entry;
    entry.status = status;
    log.note(std::move(entry));
  }
};

}  // namespace

TEST_CASE("with a disk that takes nothing, nothing changes any more, and nothing is forgotten") {
  AuditFixture fixture;
  sys::remove_tree(fixture.dir);
  for (std::size_t count = 1; count < AuditLog::kPendingMax; ++count) fixture.note(200);
  CHECK_NOTHROW(fixture.log.require_room());
  fixture.note(200);
  CHECK_THROWS_AS(fixture.log.require_room(), Error);
  CHECK_FALSE(fixture.flush());
  CHECK_THROWS_AS(fixture.log.require_room(), Error);
  sys::make_dirs(fixture.dir);
  CHECK(fixture.flush());
  CHECK_NOTHROW(fixture.log.require_room());
  const audit::Verdict verdict = audit::verify(fixture.dir);
  CHECK(verdict.problem.empty());
  CHECK(verdict.last.seq == AuditLog::kPendingMax);
}

TEST_CASE("what is on its way to a disk that takes nothing has its place there still") {
  AuditFixture fixture;
  sys::remove_tree(fixture.dir);
  for (std::size_t count = 0; count < AuditLog::kPendingMax; ++count) fixture.note(200);
  std::promise<void> goes_on;
  fixture.pool.post([&goes_on] { goes_on.get_future().wait(); });
  asio::co_spawn(fixture.loop, fixture.log.flush(), [](const std::exception_ptr&) {});
  fixture.loop.poll();
  CHECK_THROWS_AS(fixture.log.require_room(), Error);
  for (std::size_t count = 0; count < AuditLog::kPendingMax + 3; ++count) fixture.note(200);
  goes_on.set_value();
  fixture.loop.run();
  sys::make_dirs(fixture.dir);
  CHECK(fixture.flush());
  CHECK(audit::verify(fixture.dir).last.seq == 2 * AuditLog::kPendingMax);
}

TEST_CASE("of refusals some are written each second, the rest is counted") {
  AuditFixture fixture;
  for (std::size_t count = 0; count < 10 * AuditLog::kRefusalsPerSecondMax; ++count) {
    fixture.note(count % 2 == 0 ? 401 : 403);
  }
  CHECK(fixture.flush());
  CHECK(audit::verify(fixture.dir).last.seq == AuditLog::kRefusalsPerSecondMax);
  audit::Entry of_a_key;  // Strangers do not hide it.
  of_a_key.status = 403;
  of_a_key.key_id = "k";
  fixture.log.note(std::move(of_a_key));
  CHECK(fixture.flush());
  CHECK(audit::verify(fixture.dir).last.seq == AuditLog::kRefusalsPerSecondMax + 1);
}

TEST_CASE("what no memory was left for is counted apart from refusals") {
  AuditFixture fixture;
  for (std::size_t count = 0; count < 2 * AuditLog::kPendingMax + 3; ++count) fixture.note(200);
  fixture.close();
  const audit::Trail::Page page = audit::Trail(fixture.dir, {}).read(2 * AuditLog::kPendingMax, 10);
  REQUIRE(page.lines.size() == 1);
  CHECK(page.lines[0].find("\"operation\":\"lost\"") != std::string::npos);
  CHECK(page.lines[0].find("\"left_out\":0,") != std::string::npos);
  CHECK(page.lines[0].find("\"lost\":3") != std::string::npos);
}

}  // namespace cellar::api
