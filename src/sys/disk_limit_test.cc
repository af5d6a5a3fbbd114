#include "sys/disk_limit.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

using namespace cellar;
using namespace cellar::sys;
namespace fs = std::filesystem;

// The other enforcers are tried on a file system of their own in tests/e2e/test_disk_limits.py.
TEST_CASE("folders are limited by what has made them, and are removed with their limit") {
  const testing::TempDir dir;
  const DiskEnforcer here = try_disk_limit(dir.path().string());
  CHECK(fs::is_empty(dir.path()));
  const std::vector<std::string> folders = {dir.file("a"), dir.file("b")};
  for (const DiskEnforcer enforcer : {here, DiskEnforcer::counted}) {
    make_limited(enforcer, folders);
    CHECK(fs::status(folders[1]).permissions() == fs::perms(0700));
    CHECK(enforcer_of(folders) == enforcer);
    limit_disk(enforcer, folders, {1 << 20, 100});
    replace_file(folders[1] + "/file", "x");
    CHECK(limited_use(enforcer, folders).has_value() == (enforcer == DiskEnforcer::project));
    remove_limited(folders, [] { return true; });
    CHECK(fs::is_empty(dir.path()));
  }
  remove_limited(folders, [] { return true; });
  CHECK(try_disk_limit(dir.file("none")) == DiskEnforcer::counted);
}

TEST_CASE("plain folders are counted, whatever the file system could do") {
  const testing::TempDir dir;
  fs::create_directory(dir.file("a"));
  CHECK(enforcer_of({dir.file("a")}) == DiskEnforcer::counted);
  CHECK_FALSE(limited_use(DiskEnforcer::counted, {dir.file("a")}));
  CHECK_THROWS_AS(limit_disk(DiskEnforcer::qgroup, {dir.file("a")}, {1 << 20, 100}), Error);
  CHECK_THROWS_AS(make_limited(DiskEnforcer::qgroup, {dir.file("a")}), Error);
}
