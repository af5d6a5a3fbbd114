#include "sys/disk_use.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

using namespace cellar;
using namespace cellar::sys;
namespace fs = std::filesystem;

constexpr DiskWalk kAll{1000, 1000};
constexpr UnlinkedWalk kAllOpen{100'000, 100'000};

TEST_CASE(
    "a tree takes what its files do, a file with two names once, and a link nothing of its "
    "target") {
  const testing::TempDir dir, elsewhere;
  const DiskUse empty = disk_use(dir.path(), kAll);
  CHECK(empty.inodes == 1);
  replace_file(dir.file("a"), std::string(100'000, 'x'));
  const DiskUse one = disk_use(dir.path(), kAll);
  CHECK(one.inodes == 2);
  CHECK(one.bytes - empty.bytes >= 100'000);
  CHECK(one.bytes - empty.bytes < 200'000);
  fs::create_hard_link(dir.file("a"), dir.file("b"));
  CHECK(disk_use(dir.path(), kAll) == one);
  replace_file(elsewhere.file("large"), std::string(1'000'000, 'x'));
  fs::create_directory_symlink(elsewhere.path(), dir.file("link"));
  const DiskUse linked = disk_use(dir.path(), kAll);
  CHECK(linked.inodes == 3);
  CHECK(linked.bytes < one.bytes + 100'000);
}

TEST_CASE("it ends at the limit of files, and in folders without end") {
  const testing::TempDir dir;
  for (int i = 0; i < 50; ++i) replace_file(dir.file(std::to_string(i)), "", 0600, Durable::no);
  CHECK(disk_use(dir.path(), {20, 20}).inodes == 20);
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  for (std::size_t depth = 0; depth < kDepthMax + 100; ++depth) {
    fs::create_directory("d");
    fs::current_path("d");
  }
  fs::current_path(before);
  CHECK(disk_use(dir.path(), {10'000, 7000}).inodes == 7000);
  // So it does where it may open no more folders.
  rlimit allowed{};
  ::getrlimit(RLIMIT_NOFILE, &allowed);
  const rlimit few{64, allowed.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const DiskUse use = disk_use(dir.path(), {10'000, 7000});
  ::setrlimit(RLIMIT_NOFILE, &allowed);
  CHECK(use.inodes == 7000);
  CHECK_THROWS_AS(disk_use(dir.file("none"), kAll), Error);
}

TEST_CASE("a deleted file counts as long as a process has it open, and one in memory does not") {
  const std::vector<pid_t> own = {::getpid()};
  const DiskUse before = unlinked_use(own, kAllOpen);
  std::string path = "/var/tmp/cellar-test-XXXXXX";  // On a disk: /tmp is in memory on Debian 13.
  const Fd file(::mkstemp(path.data()));
  REQUIRE(file);
  write_all(file.get(), std::string(300'000, 'x'), path);
  const Fd again = duplicate(file.get());
  CHECK(unlinked_use(own, kAllOpen) == before);
  remove_file(path);
  const DiskUse open = unlinked_use(own, kAllOpen);
  CHECK(open.inodes == before.inodes + 1);
  CHECK(open.bytes >= before.bytes + 300'000);
  const Fd memory(::memfd_create("memory", MFD_CLOEXEC));
  write_all(memory.get(), std::string(300'000, 'x'), "memory");
  CHECK(unlinked_use(own, kAllOpen) == open);
}

TEST_CASE("who has more open than is looked at has as much as it is told") {
  const std::vector<pid_t> own = {::getpid()};
  std::vector<Fd> open;
  for (int i = 0; i < 50; ++i) open.push_back(open_file("/dev/null", O_RDONLY));
  CHECK(unlinked_use(own, {40, 7000}).inodes == 7000);
  CHECK(unlinked_use(own, kAllOpen).inodes < 7000);
}

TEST_CASE("what is written is missing on the file system") {
  const testing::TempDir dir;
  CHECK(disk_free(dir.path()).bytes > 0);
  CHECK_THROWS_AS(disk_free(dir.file("none")), Error);
}
