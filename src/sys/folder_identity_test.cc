#include "sys/folder_identity.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar::sys {

TEST_CASE("a folder is the same one where it is moved to, and its copy is not") {
  namespace fs = std::filesystem;
  const testing::TempDir dir;
  fs::create_directory(dir.file("a"));
  const std::string first = folder_identity(dir.file("a"));
  fs::copy(dir.file("a"), dir.file("copy"));
  fs::rename(dir.file("a"), dir.file("b"));
  CHECK(folder_identity(dir.file("b")) == first);
  CHECK(folder_identity(dir.file("copy")) != first);
  CHECK_THROWS_AS(folder_identity(dir.file("a")), Error);
}

}  // namespace cellar::sys
