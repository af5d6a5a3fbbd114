#include "sys/new_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "sys/directory.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a new file takes the place of the old one when it is whole, and not before") {
  const testing::TempDir dir;
  replace_file(dir.file("f"), "old");
  {
    NewFile file(dir.file("f"));
    file.write("ne");
    NewFile moved(std::move(file));
    moved.write("w");
    CHECK(read_file(dir.file("f")) == "old");
    moved.replace();
    CHECK(read_file(dir.file("f")) == "new");
  }
  CHECK(files_in(dir.path()) == std::vector<std::string>{"f"});
}

TEST_CASE("a new file keeps the rights of the old one where that is asked for") {
  const testing::TempDir dir;
  const auto mode_of = [&](const std::string& path) {
    struct stat stat = {};
    return ::stat(path.c_str(), &stat) == 0 ? stat.st_mode & 07777 : 0;
  };
  replace_file(dir.file("f"), "old", 0600);
  ::chmod(dir.file("f").c_str(), 04646);
  for (const char* name : {"f", "none"}) {
    NewFile file(dir.file(name), 0600);
    file.keep_rights();
    file.replace();
  }
  CHECK(mode_of(dir.file("f")) == 0646);  // A program that is set-user-id has other bytes now.
  CHECK(mode_of(dir.file("none")) == 0600);
}

TEST_CASE("of a new file that was not finished, or could not be, nothing stays") {
  const testing::TempDir dir;
  {
    NewFile file(dir.file("f"));
    file.write("half");
  }
  make_dirs(dir.file("folder/full"));
  {
    NewFile file(dir.file("folder"));
    CHECK_THROWS_AS(file.replace(), Error);
  }
  CHECK(files_in(dir.path()).empty());
}

}  // namespace cellar::sys
