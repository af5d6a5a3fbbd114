#include "sandbox/delegated.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "sys/file.h"
#include "testing/temp_dir.h"

using namespace cellar;
using namespace cellar::sandbox;

namespace {

// A machine with cgroup v2, as files.
struct Machine {
  testing::TempDir folder;

  void write(const std::string& path, const std::string& text) const {
    const std::string file = folder.path().string() + path;
    sys::make_dirs(file.substr(0, file.rfind('/')));
    sys::replace_file(file, text, 0644, sys::Durable::no);
  }
  std::string root() const { return folder.path().string(); }
};

std::string why_not(const std::string& folder) {
  try {
    find_delegated(folder);
  } catch (const Error& error) {
    CHECK(error.reason() == "no_cgroup");
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a daemon's part of cgroup v2 is the group it was started in, or above its own") {
  const Machine machine;
  machine.write("/proc/self/mounts", "cgroup2 /cg cgroup2 rw,nosuid 0 0\n");
  machine.write("/proc/self/cgroup", "1:name=systemd:/x\n0::/user.slice/cellard.service\n");
  CHECK(find_own_part(machine.root()) == "/cg/user.slice/cellard.service");
  machine.write("/proc/self/cgroup", "0::/user.slice/cellard.service/cellar-daemon\n");
  CHECK(find_own_part(machine.root()) == "/cg/user.slice/cellard.service");
  machine.write("/proc/self/cgroup", "0::/\n");
  CHECK(find_own_part(machine.root()) == "/cg");
  machine.write("/proc/self/mounts", "proc /proc proc rw 0 0\n");
  CHECK_THROWS_AS(find_own_part(machine.root()), const Error&);
}

TEST_CASE("a part without memory or processes is of no use, and one without processors is") {
  const Machine machine;
  const std::string part = machine.root() + "/part";
  machine.write("/part/cgroup.controllers", "cpu pids\n");
  CHECK(why_not(part).find("no cgroup controller \"memory\"") != std::string::npos);
  machine.write("/part/cgroup.controllers", "memory pids\n");
  CHECK(why_not(part).find("not delegated") != std::string::npos);
  machine.write("/part/cgroup.procs", "");
  machine.write("/part/cgroup.subtree_control", "");
  CHECK(why_not(part).empty());
  machine.write("/part/cgroup.procs", "71\n");
  require_alone(find_delegated(part));
  machine.write("/part/cgroup.procs", "71\n72\n");
  CHECK_THROWS_AS(require_alone(find_delegated(part)), const Error&);
  const CgroupPlan cell = plan_cgroups(find_delegated(part), "g", "s",
                                       ResourceLimits{.pids_max = 9, .cpu_millis = 500});
  CHECK(cell.settings.back().first == part + "/g/s/pids.max");
  CHECK(cell.settings.front().second == "+memory +pids");
}
