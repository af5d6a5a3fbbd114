#include "cell/disk_quota.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "testing/temp_dir.h"

using namespace cellar;
using namespace cellar::cell;

TEST_CASE("a cell is watched while something runs in it and it does not stand still") {
  const testing::TempDir dir;
  async::Pool pool(1);
  asio::io_context loop(1);
  const auto nobody = [] { return DiskQuota::Processes([] { return std::vector<pid_t>(); }); };
  DiskQuota quota(loop.get_executor(), pool, {dir.path().string()}, nobody, [] {});
  quota.set_limits({1 << 30, 1000});
  const auto run_until = [&](bool watching) {
    while (quota.is_watching() != watching) loop.run_one();
  };
  CHECK_FALSE(quota.is_watching());
  DiskQuota::Use use = quota.begin_use();
  CHECK(quota.is_watching());
  quota.stop_watching();
  run_until(false);
  quota.go_on();
  CHECK(quota.is_watching());
  use.reset();
  run_until(false);
  quota.go_on();
  CHECK_FALSE(quota.is_watching());
  asio::co_spawn(loop, quota.close(), [](const std::exception_ptr&) {});
  loop.restart();
  loop.run();
}
