#include "cell/cgroups.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::cell {

TEST_CASE("a group that does not stand still in time goes on, all of it") {
  const testing::TempDir dir;
  const std::string folder = dir.path().string();
  sys::replace_file(folder + "/cgroup.events", "populated 1\nfrozen 0\n");
  sys::replace_file(folder + "/cgroup.freeze", "");
  asio::io_context loop(1);
  std::exception_ptr failure;
  const std::chrono::milliseconds limit(20);
  asio::co_spawn(loop, freeze(folder, limit),
                 [&](const std::exception_ptr& error) { failure = error; });
  loop.run();
  REQUIRE(failure);
  CHECK_THROWS_AS(std::rethrow_exception(failure), Error);
  CHECK(sys::read_file(folder + "/cgroup.freeze") == "0");
}

TEST_CASE(
    "a freeze that an earlier daemon began and saw no end of is undone, one that is whole stays") {
  const testing::TempDir dir;
  const std::string folder = dir.path().string();
  const auto of_freeze = [&](const char* asked, const char* events) {
    sys::replace_file(folder + "/cgroup.freeze", asked);
    sys::replace_file(folder + "/cgroup.events", events);
    undo_half_freeze(folder);
    return sys::read_file(folder + "/cgroup.freeze").value_or("");
  };
  CHECK(of_freeze("1\n", "populated 1\nfrozen 0\n") == "0\n");
  CHECK(of_freeze("1\n", "populated 1\nfrozen 1\n") == "1\n");
  CHECK(of_freeze("0\n", "populated 1\nfrozen 0\n") == "0\n");
  undo_half_freeze(folder + "/gone");
}

TEST_CASE("swap is allowed and forbidden where the group has the switch, and else left alone") {
  const testing::TempDir dir;
  const std::string folder = dir.path().string();
  set_swap(folder, Swap::allowed);
  CHECK_FALSE(sys::read_file(folder + "/memory.swap.max"));
  set_swap(folder + "/gone", Swap::never);
  sys::replace_file(folder + "/memory.swap.max", "?");
  set_swap(folder, Swap::allowed);
  CHECK(sys::read_file(folder + "/memory.swap.max") == "max");
  sys::replace_file(folder + "/memory.swap.max", "");
  set_swap(folder, Swap::never);
  CHECK(sys::read_file(folder + "/memory.swap.max") == "0");
}

}  // namespace cellar::cell
