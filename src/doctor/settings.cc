#include "doctor/settings.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/cgroup.h"
#include "sys/file.h"

namespace cellar::doctor {
namespace {

constexpr std::size_t kSettingBytesMax = 1 << 20;

Finding judge_core_pattern(const std::string& root) {
  const std::string pattern = read_setting(root, "/proc/sys/kernel/core_pattern").value_or("");
  Finding finding{
      "hardening.core_pattern", Group::hardening, Verdict::ok, "\"" + pattern + "\"", "", ""};
  if (!pattern.starts_with('|')) return finding;
  finding.verdict = Verdict::warning;
  finding.means =
      "the host's root would run a program on what a crashing process left; commands of cells dump "
      "no core, but a hole in that program is one of the host's";
  finding.remedy = "sysctl -w kernel.core_pattern=core";
  return finding;
}

// A cell whose files are searched while it is awake needs an instance, and a watch for each folder:
// this is for a thousand cells with repositories of 500 folders.
constexpr std::int64_t kInotifyInstancesMin = 1024;
constexpr std::int64_t kInotifyWatchesMin = 524'288;

struct Floor {
  Group group;
  const char* id;
  const char* path;
  std::int64_t at_least;
  const char* means;
  const char* remedy;
};

constexpr Floor kFloors[] = {
    {Group::host, "inotify.instances", "/proc/sys/fs/inotify/max_user_instances",
     kInotifyInstancesMin,
     "in as many cells at once the kernel tells search which files changed; in the others each "
     "query looks at every file",
     "sysctl -w fs.inotify.max_user_instances=1024"},
    {Group::host, "inotify.watches", "/proc/sys/fs/inotify/max_user_watches", kInotifyWatchesMin,
     "in as many folders of cells at once the kernel tells search which files changed; a cell with "
     "more has each query look at every file",
     "sysctl -w fs.inotify.max_user_watches=524288"},
    {Group::hardening, "hardening.dmesg_restrict", "/proc/sys/kernel/dmesg_restrict", 1,
     "processes of this host may read the kernel's log; cells cannot (seccomp)",
     "sysctl -w kernel.dmesg_restrict=1"},
    {Group::hardening, "hardening.kptr_restrict", "/proc/sys/kernel/kptr_restrict", 1,
     "addresses of the kernel can be read, which helps whoever found a hole in it",
     "sysctl -w kernel.kptr_restrict=1"},
    {Group::hardening, "hardening.unprivileged_bpf", "/proc/sys/kernel/unprivileged_bpf_disabled",
     1, "every process of this host may load BPF programs; cells cannot (seccomp)",
     "sysctl -w kernel.unprivileged_bpf_disabled=1"},
    {Group::hardening, "hardening.yama", "/proc/sys/kernel/yama/ptrace_scope", 1,
     "a process may trace any other one of its user; those of a cell only among themselves",
     "sysctl -w kernel.yama.ptrace_scope=1"},
};

Finding judge_floor(const std::string& root, const Floor& floor) {
  const auto text = read_setting(root, floor.path);
  const auto value = text ? parse_int(*text) : std::nullopt;
  Finding finding{floor.id, floor.group, Verdict::ok, text.value_or("not in this kernel"), "", ""};
  if (value && *value >= floor.at_least) return finding;
  finding.verdict = Verdict::warning;
  finding.means = floor.means;
  if (value) finding.remedy = floor.remedy;
  return finding;
}

Finding judge_tiocsti(const std::string& root) {
  const auto text = read_setting(root, "/proc/sys/dev/tty/legacy_tiocsti");
  Finding finding{"hardening.tiocsti", Group::hardening, Verdict::ok, "switched off", "", ""};
  if (text == "0") return finding;
  finding.verdict = Verdict::warning;
  finding.found = text ? "switched on" : "always on (Linux before 6.2)";
  finding.means = "a program can type into its terminal; those of cells cannot (seccomp)";
  if (text) finding.remedy = "sysctl -w dev.tty.legacy_tiocsti=0";
  return finding;
}

Finding judge_swap(const std::string& root) {
  const std::string swaps = read_setting(root, "/proc/swaps").value_or("");
  const auto lines = split(swaps, '\n');
  Finding finding{"swap", Group::host, Verdict::ok, "", "", ""};
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string_view name = lines[i].substr(0, lines[i].find_first_of(" \t"));
    if (!name.empty()) finding.found += (finding.found.empty() ? "" : ", ") + std::string(name);
  }
  if (!finding.found.empty()) return finding;
  finding.verdict = Verdict::warning;
  finding.found = "none";
  finding.means = "the memory of paused cells stays in use until they hibernate";
  finding.remedy = "apt-get install zram-tools";
  return finding;
}

Finding judge_pressure(const std::string& root) {
  Finding finding{"psi", Group::host, Verdict::ok, "pressure is measured", "", ""};
  if (read_setting(root, "/proc/pressure/memory")) return finding;
  return {"psi",
          Group::host,
          Verdict::warning,
          "pressure is not measured",
          "a shortage of memory is seen late",
          "boot the kernel with psi=1"};
}

}  // namespace

std::optional<std::string> read_setting(const std::string& root, const std::string& path) {
  try {
    const auto text = sys::read_file(root + path, kSettingBytesMax);
    if (!text) return std::nullopt;
    return std::string(trim(*text));
  } catch (const Error&) {  // Not for us to read, or switched off: the same as not there.
    return std::nullopt;
  }
}

Finding judge_user_namespace(const std::string& root, int error, bool is_root) {
  Finding finding{"namespace.user", Group::native, Verdict::ok, "can be made", "", ""};
  if (error == 0) return finding;
  finding.verdict = Verdict::missing;
  finding.found = text_of_errno(error);
  finding.means = "root in a cell would be root of the host";
  const std::string path = "/proc/sys/";
  if (read_setting(root, path + "user/max_user_namespaces") == "0") {
    finding.found += ": user.max_user_namespaces is 0";
    finding.remedy = "sysctl -w user.max_user_namespaces=65536";
  } else if (!is_root && read_setting(root, path + "kernel/unprivileged_userns_clone") == "0") {
    finding.found += ": kernel.unprivileged_userns_clone is 0";
    finding.remedy = "sysctl -w kernel.unprivileged_userns_clone=1, or start cellard as root";
  } else if (!is_root &&
             read_setting(root, path + "kernel/apparmor_restrict_unprivileged_userns") == "1") {
    finding.found +=
        ": AppArmor gives no rights in user namespaces to programs without a profile "
        "(kernel.apparmor_restrict_unprivileged_userns is 1, as in Ubuntu 24.04)";
    finding.remedy =
        "start cellard as root, which the rule does not concern; or: sysctl -w "
        "kernel.apparmor_restrict_unprivileged_userns=0";
  } else {
    finding.remedy = "run on the host itself, not in a container that forbids it";
  }
  return finding;
}

Finding judge_cgroup_mounts(const std::string& root) {
  const sandbox::CgroupHost host = sandbox::find_cgroup_host(root);
  const auto add = [](std::string& list, const std::string& name) {
    list += (list.empty() ? "" : " ") + name;
  };
  std::string own, legacy;
  for (const std::string& name : host.controllers) add(own, name);
  for (const auto& [option, mount] : host.legacy) {
    // Beside the controllers, /proc/self/mounts names "rw", "relatime", …
    if (option == mount.substr(mount.rfind('/') + 1)) add(legacy, option);
  }
  if (own.empty()) own = "no controllers";
  Finding finding{"cgroup.version", Group::native, Verdict::ok, "", "", ""};
  if (host.unified.empty()) {
    finding.verdict = Verdict::missing;
    finding.found = legacy.empty() ? "none" : "v1 (" + legacy + ")";
    finding.means = "cells are frozen and killed by cgroup v2, which is not mounted";
    finding.remedy = "mount -t cgroup2 none /sys/fs/cgroup/unified";
  } else if (legacy.empty()) {
    finding.found = "v2 (" + own + ")";
  } else {
    finding.found = "v2 (" + own + ") beside v1 (" + legacy + ")";
  }
  return finding;
}

Findings examine_settings(const std::string& root) {
  Findings findings = {judge_swap(root), judge_pressure(root), judge_core_pattern(root)};
  for (const Floor& floor : kFloors) findings.push_back(judge_floor(root, floor));
  findings.push_back(judge_tiocsti(root));
  return findings;
}

}  // namespace cellar::doctor
