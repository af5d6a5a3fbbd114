#include "sys/directory.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a folder's files are listed, its folders and links are not") {
  testing::TempDir dir;
  replace_file(dir.file("b"), "");
  replace_file(dir.file("a"), "");
  make_dirs(dir.file("folder"));
  std::filesystem::create_symlink("a", dir.path() / "link");
  auto names = files_in(dir.path().string());
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"a", "b"});
  CHECK_THROWS_AS(files_in(dir.file("nothing")), Error);
}

TEST_CASE("a renamed file replaces what was there") {
  testing::TempDir dir;
  replace_file(dir.file("from"), "new");
  replace_file(dir.file("to"), "old");
  rename_file(dir.file("from"), dir.file("to"));
  CHECK(read_file(dir.file("to")) == "new");
  CHECK_FALSE(exists(dir.file("from")));
  CHECK_THROWS_AS(rename_file(dir.file("from"), dir.file("to")), Error);
}

}  // namespace cellar::sys
