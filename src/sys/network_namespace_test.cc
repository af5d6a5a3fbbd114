#include "sys/network_namespace.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace cellar::sys;

TEST_CASE("the network of a process is opened, and not that of a later one with its number") {
  const ProcessId own = identify(::getpid()).value();
  const auto network = open_network_of(own);
  REQUIRE(network);
  struct stat opened{}, mine{};
  REQUIRE(::fstat(network->get(), &opened) == 0);
  REQUIRE(::stat("/proc/self/ns/net", &mine) == 0);
  CHECK(opened.st_ino == mine.st_ino);
  const ProcessId earlier{own.pid, own.start_time - 1};
  CHECK_FALSE(open_network_of(earlier));
}
