#include "sys/positioned.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("bytes are read at a place, and fewer at the end of the file") {
  testing::TempDir dir;
  replace_file(dir.file("f"), "0123456789");
  const Fd fd = open_file(dir.file("f"), O_RDONLY);
  CHECK(file_size(fd.get(), "f") == 10);
  CHECK(read_at(fd.get(), 2, 3, "f") == "234");
  CHECK(read_at(fd.get(), 8, 5, "f") == "89");
  CHECK(read_at(fd.get(), 20, 5, "f").empty());
  CHECK_THROWS_AS(read_at(-1, 0, 1, "f"), Error);
  CHECK_THROWS_AS(file_size(-1, "f"), Error);
}

TEST_CASE("a file's beginning is given back, and the rest stays where it is") {
  testing::TempDir dir;
  replace_file(dir.file("f"), std::string(1 << 20, 'a') + "end");
  const Fd fd = open_file(dir.file("f"), O_RDWR);
  CHECK(forget_beginning(fd.get(), 0, "f"));
  CHECK(read_at(fd.get(), 0, 1, "f") == "a");
  CHECK(forget_beginning(fd.get(), 1 << 20, "f"));
  CHECK(file_size(fd.get(), "f") == (1 << 20) + 3);
  CHECK(read_at(fd.get(), 1 << 20, 5, "f") == "end");
  struct stat stat{};
  REQUIRE(::fstat(fd.get(), &stat) == 0);
  CHECK(stat.st_blocks * 512 < 1 << 20);
  CHECK_THROWS_AS((void)forget_beginning(-1, 1, "f"), Error);
}

}  // namespace cellar::sys
