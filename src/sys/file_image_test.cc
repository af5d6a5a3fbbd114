#include "sys/file_image.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a file's image holds what the file held, though that is replaced") {
  const testing::TempDir dir;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{3} << 20}) {
    CAPTURE(size);
    const std::string text(size, 'x');
    replace_file(dir.file("f"), text);
    FileImage image = FileImage::read(dir.file("f"), size).value();
    replace_file(dir.file("f"), "other");
    CHECK(image.bytes() == text);
    const FileImage moved = std::move(image);
    CHECK(moved.bytes() == text);
  }
}

TEST_CASE("of a file that is absent there is no image, of one that is too large an error") {
  const testing::TempDir dir;
  CHECK_FALSE(FileImage::read(dir.file("absent"), 9).has_value());
  replace_file(dir.file("f"), "0123456789");
  CHECK_THROWS_AS(FileImage::read(dir.file("f"), 9), Error);
}

}  // namespace cellar::sys
