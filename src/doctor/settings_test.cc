#include "doctor/settings.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>

#include "sys/file.h"
#include "testing/temp_dir.h"

namespace cellar::doctor {
namespace {

// A machine, as its files of /proc and /sys.
class Machine {
 public:
  void write(const std::string& path, const std::string& text) {
    const std::string file = root() + path;
    sys::make_dirs(std::filesystem::path(file).parent_path().string());
    sys::replace_file(file, text);
  }
  std::string root() const { return dir_.path().string(); }

 private:
  testing::TempDir dir_;
};

Finding find(const Findings& findings, const std::string& id) {
  for (const Finding& finding : findings) {
    if (finding.id == id) return finding;
  }
  FAIL("no finding ", id);
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Ubuntu's AppArmor rule on user namespaces is recognised, with what to do") {
  Machine ubuntu;
  ubuntu.write("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
  ubuntu.write("/proc/sys/kernel/unprivileged_userns_clone", "1\n");
  ubuntu.write("/proc/sys/user/max_user_namespaces", "95784\n");
  const Finding finding = judge_user_namespace(ubuntu.root(), EPERM, false);
  CHECK(finding.verdict == Verdict::missing);
  CHECK(has(finding.found, "AppArmor"));
  CHECK(has(finding.found, "Ubuntu 24.04"));
  CHECK(has(finding.remedy, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"));
  // It does not concern root, and says nothing where the namespace could be made.
  CHECK(!has(judge_user_namespace(ubuntu.root(), EPERM, true).found, "AppArmor"));
  CHECK(judge_user_namespace(ubuntu.root(), 0, false).verdict == Verdict::ok);
}

TEST_CASE("the switches of other distributions for user namespaces are told apart") {
  Machine debian;
  debian.write("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
  CHECK(has(judge_user_namespace(debian.root(), EPERM, false).remedy,
            "sysctl -w kernel.unprivileged_userns_clone=1"));
  CHECK(!has(judge_user_namespace(debian.root(), EPERM, true).remedy, "unprivileged_userns"));
  debian.write("/proc/sys/user/max_user_namespaces", "0\n");
  CHECK(has(judge_user_namespace(debian.root(), ENOSPC, true).remedy,
            "sysctl -w user.max_user_namespaces="));
  const Machine bare;
  CHECK(has(judge_user_namespace(bare.root(), EPERM, true).remedy, "container"));
}

TEST_CASE("cgroup v1, v2 and both are told apart, with their controllers") {
  Machine pure;
  pure.write("/proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
  pure.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  CHECK(judge_cgroup_mounts(pure.root()).found == "v2 (cpu memory pids)");

  Machine hybrid;
  hybrid.write("/proc/self/mounts",
               "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
               "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n"
               "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
  hybrid.write("/sys/fs/cgroup/unified/cgroup.controllers", "\n");
  CHECK(judge_cgroup_mounts(hybrid.root()).found == "v2 (no controllers) beside v1 (memory pids)");

  Machine legacy;
  legacy.write("/proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
  CHECK(judge_cgroup_mounts(legacy.root()).verdict == Verdict::missing);
  CHECK(judge_cgroup_mounts(legacy.root()).found == "v1 (memory)");
  const Machine none;
  CHECK(judge_cgroup_mounts(none.root()).found == "none");
}

TEST_CASE(
    "few watches of inotify are a warning that says what search does without, and how to get "
    "more") {
  Machine machine;
  const auto write = [&](const std::string& instances, const std::string& watches) {
    machine.write("/proc/sys/fs/inotify/max_user_instances", instances + "\n");
    machine.write("/proc/sys/fs/inotify/max_user_watches", watches + "\n");
  };
  const auto judged = [&](const std::string& id) {
    return find(examine_settings(machine.root()), id);
  };
  CHECK(judged("inotify.instances").verdict == Verdict::warning);
  CHECK(judged("inotify.instances").remedy.empty());
  write("128", "524287");
  CHECK(judged("inotify.instances").verdict == Verdict::warning);
  CHECK(judged("inotify.instances").found == "128");
  CHECK(judged("inotify.instances").group == Group::host);
  CHECK(judged("inotify.instances").remedy == "sysctl -w fs.inotify.max_user_instances=1024");
  CHECK(judged("inotify.watches").verdict == Verdict::warning);
  CHECK(judged("inotify.watches").remedy == "sysctl -w fs.inotify.max_user_watches=524288");
  write("1024", "524288");
  CHECK(judged("inotify.instances").verdict == Verdict::ok);
  CHECK(judged("inotify.watches").verdict == Verdict::ok);
}

TEST_CASE("settings that weaken a host are warnings that say how to change them") {
  Machine weak;
  weak.write("/proc/sys/kernel/core_pattern", "|/usr/share/apport/apport %p\n");
  weak.write("/proc/sys/kernel/dmesg_restrict", "0\n");
  weak.write("/proc/sys/kernel/kptr_restrict", "0\n");
  weak.write("/proc/sys/kernel/unprivileged_bpf_disabled", "0\n");
  weak.write("/proc/sys/kernel/yama/ptrace_scope", "0\n");
  weak.write("/proc/sys/dev/tty/legacy_tiocsti", "1\n");
  weak.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
  weak.write("/proc/sys/fs/inotify/max_user_instances", "128\n");
  weak.write("/proc/sys/fs/inotify/max_user_watches", "8192\n");
  for (const Finding& finding : examine_settings(weak.root())) {
    CAPTURE(finding.id);
    CHECK(finding.verdict == Verdict::warning);
    CHECK(finding.remedy != "");
    CHECK(finding.means != "");
  }
  Machine strong;
  strong.write("/proc/sys/kernel/core_pattern", "core\n");
  strong.write("/proc/sys/kernel/dmesg_restrict", "1\n");
  strong.write("/proc/sys/kernel/kptr_restrict", "2\n");
  strong.write("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
  strong.write("/proc/sys/kernel/yama/ptrace_scope", "1\n");
  strong.write("/proc/sys/dev/tty/legacy_tiocsti", "0\n");
  strong.write("/proc/swaps", "Filename\tType\n/dev/zram0   partition 1 0 100\n");
  strong.write("/proc/pressure/memory", "some avg10=0.00\n");
  strong.write("/proc/sys/fs/inotify/max_user_instances", "8192\n");
  strong.write("/proc/sys/fs/inotify/max_user_watches", "1048576\n");
  for (const Finding& finding : examine_settings(strong.root())) {
    CAPTURE(finding.id);
    CHECK(finding.verdict == Verdict::ok);
  }
  CHECK(find(examine_settings(strong.root()), "swap").found == "/dev/zram0");
}

}  // namespace cellar::doctor
