#include "sys/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/tree_removal.h"
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
  remove_tree(dir.file("a"));
  remove_tree(dir.file("kept"));
  CHECK_FALSE(exists(dir.file("kept")));
}

TEST_CASE("a tree that is deeper than descriptors go is removed, and one with many names") {
  const testing::TempDir dir;
  make_dirs(dir.file("a"));
  Fd folder = open_file(dir.file("a"), O_PATH | O_DIRECTORY);
  for (int depth = 0; depth < 5'000; ++depth) {
    REQUIRE(::mkdirat(folder.get(), "d", 0700) == 0);
    REQUIRE(::symlinkat("..", folder.get(), "l") == 0);
    folder = Fd(::openat(folder.get(), "d", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  make_dirs(dir.file("a/many"));
  for (int i = 0; i < 3'000; ++i) make_dirs(dir.file("a/many/" + std::to_string(i)));
  remove_tree(dir.file("a"));
  CHECK_FALSE(exists(dir.file("a")));
}

TEST_CASE("a mere name is in the folder at hand, and no name is none") {
  CHECK(folder_of("name") == ".");
  CHECK(folder_of("/a/b") == "/a");
  CHECK_THROWS_AS(make_dirs(""), Error);
}

TEST_CASE("the removal of a tree ends when it is told to, and goes on from there") {
  const testing::TempDir dir;
  for (const char* name : {"a/b/c", "a/d"}) make_dirs(dir.file(name));
  int names_left = 3;
  const auto go_on = [&] { return names_left-- > 0; };
  CHECK_FALSE(remove_tree_while(dir.file("a"), go_on));
  CHECK(exists(dir.file("a")));
  names_left = 100;
  CHECK(remove_tree_while(dir.file("a"), go_on));
  CHECK_FALSE(exists(dir.file("a")));
}

}  // namespace cellar::sys
