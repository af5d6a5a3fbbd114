#include "cell/slots.h"

#include <doctest/doctest.h>

#include "sys/file.h"
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
