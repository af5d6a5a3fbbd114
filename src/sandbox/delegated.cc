#include "sandbox/delegated.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/groups.h"
#include "sys/file.h"

namespace cellar::sandbox {
namespace {

// What is limited, or cells have no groups at all: else memory would be said to be limited.
constexpr const char* kLeast[] = {"memory", "pids"};
constexpr const char* kRemedy =
    "start cellard in a group that is delegated: systemd-run --user --scope -p Delegate=yes "
    "cellard";

Error no_groups(const std::string& why) {
  return Error(ErrorCode::unavailable, "no_cgroup", why, kRemedy);
}

// Of a process in cgroup v2, from the top of it; "/" there.
std::string group_of(const std::string& proc_file) {
  const std::string text = sys::read_file(proc_file).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("0::")) return std::string(line.substr(3));
  }
  throw no_groups("cgroup v2 is not there: " + proc_file + " names no group of it");
}

std::string place_of(const std::string& proc_file, const std::string& root) {
  const CgroupHost host = find_cgroup_host(root);
  if (host.unified.empty()) throw no_groups("cgroup v2 is not mounted");
  const std::string group = group_of(proc_file);
  return host.unified + (group == "/" ? "" : group);
}

// Of a domain that an earlier daemon has made.
std::string part_of(pid_t living, const std::string& daemon_group) {
  const std::string place = place_of("/proc/" + std::to_string(living) + "/cgroup", {});
  const std::size_t at = place.find("/" + daemon_group + "/");
  if (at == std::string::npos) {
    throw no_groups("cells of an earlier daemon live, which have no groups");
  }
  return place.substr(0, at);
}

}  // namespace

std::string find_own_part(const std::string& root) {
  std::string place = place_of(root + "/proc/self/cgroup", root);
  const std::string suffix = std::string("/") + kDaemonFolder;
  if (place.ends_with(suffix)) place.resize(place.size() - suffix.size());
  return place;
}

CgroupHost find_delegated(const std::string& folder) {
  CgroupHost host;
  host.unified = folder;
  const std::string controllers = sys::read_file(folder + "/cgroup.controllers").value_or("");
  for (const std::string_view name : split(trim(controllers), ' ')) {
    if (!name.empty()) host.controllers.emplace_back(name);
  }
  for (const char* name : kLeast) {
    const auto& there = host.controllers;
    if (std::find(there.begin(), there.end(), name) != there.end()) continue;
    throw no_groups("the group " + folder + " has no cgroup controller \"" + name + "\"");
  }
  try {
    for (const char* file : {"/cgroup.procs", "/cgroup.subtree_control"}) {
      sys::open_file(folder + file, O_WRONLY);
    }
  } catch (const Error&) {
    throw no_groups("the group " + folder + " is not delegated to this user");
  }
  return host;
}

void require_alone(const CgroupHost& host) {
  const std::string procs = sys::read_file(host.unified + "/cgroup.procs").value_or("");
  if (std::count(procs.begin(), procs.end(), '\n') <= 1) return;
  throw no_groups("other processes are in the group " + host.unified +
                  ": cellard has to be started alone in one");
}

CgroupHost take_delegated(const std::string& daemon_group, std::optional<pid_t> living) {
  const std::string folder = living ? part_of(*living, daemon_group) : find_own_part();
  CgroupHost host = find_delegated(folder);
  const bool is_inside = place_of("/proc/self/cgroup", {}) == folder;
  try {
    if (is_inside) {
      sys::make_dirs(folder + "/" + kDaemonFolder, 0755);
      sys::write_setting(folder + "/" + kDaemonFolder + "/cgroup.procs", "0");
    }
    for (const auto& [file, value] : plan_cgroups(host, daemon_group, "none").settings) {
      if (file == folder + "/cgroup.subtree_control") sys::write_setting(file, value);
    }
  } catch (const Error& error) {
    if (is_inside) {
      sys::write_setting(folder + "/cgroup.procs", "0");
      try_remove_group(folder + "/" + kDaemonFolder);
    }
    throw no_groups("the group " + folder +
                    " cannot be used, other processes may be in it: " + error.what());
  }
  return host;
}

}  // namespace cellar::sandbox
