#include "sys/positioned.h"

#include <doctest/doctest.h>
#include <fcntl.h>

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

}  // namespace cellar::sys
