#include "cell/slots.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "sys/file.h"
#include "sys/process.h"
#include "testing/temp_dir.h"

using namespace cellar;
using namespace cellar::cell;

TEST_CASE("two state folders never share a group, and one always has the same") {
  CHECK(daemon_group_of("/a") == daemon_group_of("/a"));
  CHECK(daemon_group_of("/a") != daemon_group_of("/b"));
  CHECK(daemon_group_of("/a").size() == 15);
}

TEST_CASE("the next daemon finds a cell's slot, but not one of an earlier boot or a torn record") {
  const testing::TempDir dir;
  const CellLayout layout{dir.path()};
  sys::make_dirs(layout.run());
  CHECK(read_slot(layout).empty());
  write_slot(layout, "1f2e-7");
  CHECK(read_slot(layout) == "1f2e-7");
  const std::string record = layout.run() + "/slot.json";
  sys::replace_file(record, R"({"slot": "1f2e-7", "boot_id": "of another start"})");
  CHECK(read_slot(layout).empty());
  sys::replace_file(record, R"({"slot": "1f2e)");
  CHECK(read_slot(layout).empty());
  write_slot(layout, "3-1");
  forget_slot(layout);
  CHECK(read_slot(layout).empty());
}

TEST_CASE(
    "a copy of a cell's folder has not the slot of the first, that one keeps it where it is "
    "moved") {
  const testing::TempDir dir;
  const CellLayout first{dir.file("first")};
  sys::make_dirs(first.run());
  CHECK_FALSE(is_copy_of_running(first));
  write_slot(first, "1f2e-7");
  std::filesystem::copy(first.dir, dir.file("copy"), std::filesystem::copy_options::recursive);
  const CellLayout copy{dir.file("copy")};
  CHECK(read_slot(copy).empty());
  CHECK(is_copy_of_running(copy));
  const CellLayout moved{dir.file("moved")};
  std::filesystem::rename(first.dir, moved.dir);
  CHECK(read_slot(moved) == "1f2e-7");
  CHECK_FALSE(is_copy_of_running(moved));

  const std::string of_earlier_version = R"({"slot":"3-1","boot_id":")" + sys::boot_id() + "\"}";
  sys::replace_file(copy.run() + "/slot.json", of_earlier_version);
  CHECK(read_slot(copy) == "3-1");
}
