#include "sys/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a replaced file holds the new contents and leaves no temporary beside it") {
  const testing::TempDir dir;
  replace_file(dir.file("x"), "old");
  replace_file(dir.file("x"), "new");
  CHECK(read_file(dir.file("x")) == "new");
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("a missing file is an answer, a file above the limit an error that names it") {
  const testing::TempDir dir;
  CHECK_FALSE(read_file(dir.file("none")).has_value());
  replace_file(dir.file("x"), "12345");
  CHECK_THROWS_WITH_AS(read_file(dir.file("x"), 4),
                       (dir.file("x") + " is larger than 4 bytes").c_str(), Error);
}

TEST_CASE("folders are made with their parents, and a tree is removed without following links") {
  const testing::TempDir dir;
  make_dirs(dir.file("a/b/c"));
  replace_file(dir.file("kept"), "x");
  std::filesystem::create_symlink(dir.file("kept"), dir.file("a/b/link"));
  remove_tree(dir.file("a"));
  CHECK_FALSE(exists(dir.file("a")));
  CHECK(exists(dir.file("kept")));
}

}  // namespace cellar::sys
