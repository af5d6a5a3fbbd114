#include "base/fault.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "testing/temp_dir.h"

namespace cellar {
namespace {

void write_plan(const std::string& file, const std::string& plan) { std::ofstream(file) << plan; }

bool fails_at(const char* name) {
  try {
    fault_point(name);
    return false;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::exhausted);
    return true;
  }
}

}  // namespace

// One test: a process arms its faults once.
TEST_CASE("a fault point does nothing until it is armed, and then what the plan says, once") {
  const testing::TempDir dir;
  const std::string plan = dir.file("plan");
  fault_point("before.armed");
  arm_faults(plan);

  CHECK_FALSE(fails_at("disk.write"));  // There is no plan yet.
  write_plan(plan, "disk.write 2 errno=" + std::to_string(ENOSPC));
  CHECK_FALSE(fails_at("disk.write"));
  CHECK_FALSE(fails_at("disk.sync"));
  CHECK(fails_at("disk.write"));
  CHECK_FALSE(fails_at("disk.write"));

  write_plan(plan, "disk.sync 1 errno=" + std::to_string(ENOSPC));  // Counts anew.
  CHECK(fails_at("disk.sync"));
  write_plan(plan, "disk.sync 1 delay=1");
  CHECK_FALSE(fails_at("disk.sync"));
  write_plan(plan, "");
  CHECK_FALSE(fails_at("disk.sync"));

  std::ostringstream hits;
  hits << std::ifstream(plan + ".hits").rdbuf();
  CHECK(hits.str() ==
        "disk.write\ndisk.write\ndisk.sync\ndisk.write\ndisk.write\ndisk.sync\ndisk.sync\n"
        "disk.sync\n");
}

}  // namespace cellar
