#include "sys/file_tag.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::sys {
namespace {

std::string tag_at(const BeneathDir& work, const char* path) {
  return tag_of(*work.open_read(path));
}

// Once the kernel's clock went on.
std::string strong_tag_at(const BeneathDir& work, const char* path) {
  for (int i = 0; i < 1000; ++i) {
    std::string tag = tag_at(work, path);
    if (!is_weak(tag)) return tag;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return "never";
}

}  // namespace

TEST_CASE("a small file has the tag of its bytes, whatever its name, times and rights") {
  const testing::TempDir dir;
  const BeneathDir work(dir.path());
  work.write_atomic("a", "bytes");
  work.write_atomic("b", "bytes", 0600);
  work.write_atomic("c", "other");
  CHECK(tag_at(work, "a") == tag_at(work, "b"));
  CHECK(tag_at(work, "a") == digest_tag("bytes"));
  CHECK(tag_at(work, "a") != tag_at(work, "c"));
  CHECK_FALSE(is_weak(tag_at(work, "a")));
}

TEST_CASE("a large file's tag is strong once a change of the same size would be seen in it") {
  const testing::TempDir dir;
  const BeneathDir work(dir.path());
  const std::string bytes(kDigestedBytesMax + 1, 'x');
  work.write_atomic("a", bytes);
  const std::string first = strong_tag_at(work, "a");
  CHECK(first == tag_at(work, "a"));
  const Fd fd = open_file(dir.file("a"), O_WRONLY);
  write_all_at(fd.get(), "y", 0, "a");
  CHECK(tag_at(work, "a") != first);
  const std::string second = strong_tag_at(work, "a");
  // What a program gives back the old time of still changed.
  const timespec old[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  REQUIRE(::futimens(fd.get(), old) == 0);
  const std::string third = strong_tag_at(work, "a");
  CHECK(third != second);
  write_all_at(fd.get(), "z", 0, "a");
  REQUIRE(::futimens(fd.get(), old) == 0);
  CHECK(tag_at(work, "a") != third);
}

}  // namespace cellar::sys
