#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/random.h"
#include "base/text.h"
#include "doctor/attempt.h"
#include "doctor/native.h"
#include "sandbox/cgroup.h"
#include "sandbox/delegated.h"
#include "sys/file.h"
#include "sys/probe.h"

namespace cellar::doctor {
namespace {

constexpr std::chrono::milliseconds kLimit{2000};
constexpr std::chrono::milliseconds kPause{1};

bool becomes_true(const std::function<bool()>& probe) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (!probe()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

// A new group below `parent`, removed by the destructor.
class TrialGroup {
 public:
  explicit TrialGroup(const std::string& parent)
      : path_(parent + "/cellar-doctor-" + random_hex(6)) {
    sys::make_dirs(path_, 0755);
  }
  // A process that was reaped may be counted for a moment still.
  ~TrialGroup() {
    becomes_true([this] {
      std::error_code error;
      std::filesystem::remove(path_, error);
      return !error;
    });
  }
  TrialGroup(const TrialGroup&) = delete;
  TrialGroup& operator=(const TrialGroup&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Where groups of this user are made: at the top as root, else below the own one.
std::string top_of(const std::string& unified) {
  if (sys::is_root()) return unified;
  const std::string own = sys::read_file("/proc/self/cgroup").value_or("");
  for (const std::string_view line : split(own, '\n')) {
    if (line.starts_with("0::") && line != "0::/") return unified + std::string(line.substr(3));
  }
  return unified;
}

struct Limit {
  const char* controller;
  const char* unified_file;
  const char* legacy_file;
  const char* value;
  const char* means;
};
constexpr Limit kLimits[] = {
    {"memory", "memory.max", "memory.limit_in_bytes", "67108864",
     "a cell could take all of the host's memory"},
    {"pids", "pids.max", "pids.max", "64", "a fork bomb in a cell would stop the host"},
    {"cpu", "cpu.max", "cpu.cfs_quota_us", "100000", "a cell could take all processors"},
};

// `top`: where groups are made in cgroup v2.
void try_limit(const sandbox::CgroupHost& host, const std::string& top, const Limit& limit) {
  const auto legacy = host.legacy.find(limit.controller);
  if (legacy != host.legacy.end()) {
    const TrialGroup group(legacy->second);
    sys::write_setting(group.file(limit.legacy_file), limit.value);
    return;
  }
  const std::string enabled = sys::read_file(top + "/cgroup.subtree_control").value_or("");
  const auto words = split(trim(enabled), ' ');
  if (std::find(words.begin(), words.end(), limit.controller) == words.end()) {
    sys::open_file(top + "/cgroup.subtree_control", O_WRONLY);  // cellard enables it here.
    return;
  }
  const TrialGroup group(top);
  sys::write_setting(group.file(limit.unified_file), limit.value);
}

Finding examine_limit(const sandbox::CgroupHost& host, const std::string& top, const Limit& limit) {
  const std::string name = limit.controller;
  const bool is_legacy = host.legacy.contains(name);
  const bool is_unified =
      std::find(host.controllers.begin(), host.controllers.end(), name) != host.controllers.end();
  Finding finding{"cgroup." + name, Group::native, Verdict::ok, is_legacy ? "v1" : "v2", "", ""};
  std::optional<std::string> refusal = "no cgroup controller \"" + name + "\"";
  if (is_legacy || is_unified) refusal = refusal_of([&] { try_limit(host, top, limit); });
  if (!refusal) return finding;
  finding.verdict = Verdict::missing;
  finding.found = *refusal;
  finding.means = limit.means;
  if (is_legacy || is_unified) {
    finding.remedy = sys::is_root() ? "give the container a writable cgroup of its own (docker run "
                                      "--cgroupns=private --privileged)"
                                    : "systemd-run --user --scope -p Delegate=yes cellard";
  } else {
    finding.remedy = name == "memory"
                         ? "boot the kernel with cgroup_enable=memory"
                         : "mount -t cgroup -o " + name + " none /sys/fs/cgroup/" + name;
  }
  return finding;
}

Finding answer(const char* id, const std::optional<std::string>& refusal, const char* means) {
  Finding finding{id, Group::native, Verdict::ok, "works", "", ""};
  if (!refusal) return finding;
  return {id,
          Group::native,
          Verdict::missing,
          *refusal,
          means,
          "Linux 5.14 or later with a writable cgroup v2: mount -t cgroup2 none "
          "/sys/fs/cgroup/unified"};
}

constexpr const char* kMeansInto = "a program could leave its group before it is in it";
constexpr const char* kMeansFreeze = "cells could not pause";
constexpr const char* kMeansKill = "what a command started could outlive it";

void freeze(const TrialGroup& group) {
  sys::write_setting(group.file("cgroup.freeze"), "1");
  const bool is_frozen = becomes_true([&] {
    const std::string events = sys::read_file(group.file("cgroup.events")).value_or("");
    return events.find("frozen 1") != std::string::npos;
  });
  sys::write_setting(group.file("cgroup.freeze"), "0");
  if (!is_frozen) throw Error(ErrorCode::timed_out, "a group did not freeze within 2 s");
}

void kill(const TrialGroup& group, const sys::WaitingProcess& process) {
  sys::write_setting(group.file("cgroup.kill"), "1");
  if (!process.ends_within(kLimit)) {
    throw Error(ErrorCode::timed_out, "a killed process did not end within 2 s");
  }
}

Findings examine_processes(const std::string& top) {
  std::optional<std::string> into, freezing, killing;
  const auto no_group = refusal_of([&] {
    const TrialGroup group(top);
    into = refusal_of([&] {
      const sys::Fd folder = sys::open_file(group.file(""), O_RDONLY | O_DIRECTORY);
      const sys::WaitingProcess process(folder.get());
      freezing = refusal_of([&] { freeze(group); });
      killing = refusal_of([&] { kill(group, process); });
    });
    if (into) freezing = killing = into;
  });
  if (no_group) into = freezing = killing = no_group;
  return {answer("cgroup.into", into, kMeansInto), answer("cgroup.freeze", freezing, kMeansFreeze),
          answer("cgroup.kill", killing, kMeansKill)};
}

// A daemon without root, to which nobody has delegated any.
Findings none_for_users(const std::string& found) {
  constexpr const char* kRemedy =
      "systemd-run --user --scope -p Delegate=yes cellard, or sudo cellard";
  Findings findings;
  const auto add = [&](const std::string& id, const char* means) {
    findings.push_back({"cgroup." + id, Group::native, Verdict::missing, found, means, kRemedy});
  };
  for (const Limit& limit : kLimits) add(limit.controller, limit.means);
  add("into", "a program is kept together with what it starts by a process of the cell's");
  add("freeze", "cells pause by signals, which their programs notice");
  add("kill", "where a cell keeps a command from being killed, all of it ends");
  return findings;
}

}  // namespace

Findings examine_cgroups(const User& user) {
  const bool is_user = user.rights == sandbox::Rights::user;
  if (!user.no_cgroups.empty()) return none_for_users(user.no_cgroups);
  sandbox::CgroupHost host = user.cgroups;
  if (is_user && host.unified.empty()) {
    const auto none = refusal_of([&] {
      host = sandbox::find_delegated(sandbox::find_own_part());
      sandbox::require_alone(host);
    });
    if (none) return none_for_users(*none);
  }
  if (!is_user) host = sandbox::find_cgroup_host();
  const std::string top = is_user ? host.unified : top_of(host.unified);
  Findings findings;
  for (const Limit& limit : kLimits) findings.push_back(examine_limit(host, top, limit));
  if (host.unified.empty()) {
    const std::optional<std::string> none = "cgroup v2 is not mounted";
    findings.push_back(answer("cgroup.into", none, kMeansInto));
    findings.push_back(answer("cgroup.freeze", none, kMeansFreeze));
    findings.push_back(answer("cgroup.kill", none, kMeansKill));
    return findings;
  }
  for (Finding& finding : examine_processes(top)) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace cellar::doctor
