#include "sandbox/cgroup.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::sandbox {
namespace {

constexpr const char* kNeeded[] = {"memory", "pids", "cpu"};
constexpr std::uint32_t kCpuPeriodUs = 100'000;

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string cpu_quota_us(std::uint32_t cpu_millis) {
  return std::to_string(std::uint64_t{cpu_millis} * kCpuPeriodUs / 1000);
}

using Settings = std::vector<std::pair<std::string, std::string>>;

void limit_v2(Settings& settings, const std::string& folder, const std::string& controller,
              const ResourceLimits& limits) {
  if (controller == "memory") {
    settings.emplace_back(folder + "/memory.max", std::to_string(limits.memory_bytes));
    settings.emplace_back(folder + "/memory.swap.max", "0");
  } else if (controller == "pids") {
    settings.emplace_back(folder + "/pids.max", std::to_string(limits.pids_max));
  } else {
    settings.emplace_back(folder + "/cpu.max",
                          cpu_quota_us(limits.cpu_millis) + " " + std::to_string(kCpuPeriodUs));
  }
}

void limit_v1(Settings& settings, const std::string& folder, const std::string& controller,
              const ResourceLimits& limits) {
  if (controller == "memory") {
    settings.emplace_back(folder + "/memory.limit_in_bytes", std::to_string(limits.memory_bytes));
  } else if (controller == "pids") {
    settings.emplace_back(folder + "/pids.max", std::to_string(limits.pids_max));
  } else {
    settings.emplace_back(folder + "/cpu.cfs_period_us", std::to_string(kCpuPeriodUs));
    settings.emplace_back(folder + "/cpu.cfs_quota_us", cpu_quota_us(limits.cpu_millis));
  }
}

}  // namespace

CgroupHost read_cgroup_host() {
  CgroupHost host;
  const std::string mounts = sys::read_file("/proc/self/mounts").value_or("");
  for (const std::string_view line : split(mounts, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 4) continue;
    if (fields[2] == "cgroup2" && host.unified.empty()) host.unified = fields[1];
    if (fields[2] != "cgroup") continue;
    for (const std::string_view option : split(fields[3], ',')) {
      host.legacy.emplace(option, fields[1]);
    }
  }
  if (host.unified.empty()) {
    throw Error(ErrorCode::unavailable, "no_cgroup", "cgroup v2 is not mounted",
                "mount -t cgroup2 none /sys/fs/cgroup/unified");
  }
  const std::string controllers = sys::read_file(host.unified + "/cgroup.controllers").value_or("");
  for (const std::string_view name : split(trim(controllers), ' ')) {
    host.controllers.emplace_back(name);
  }
  for (const char* name : kNeeded) {
    if (has(host.controllers, name) || host.legacy.contains(name)) continue;
    throw Error(ErrorCode::unavailable, "no_cgroup",
                std::string("this machine has no cgroup controller \"") + name +
                    "\": cells could not be limited");
  }
  return host;
}

CgroupPlan plan_cgroups(const CgroupHost& host, const std::string& daemon_group,
                        const std::string& slot, const std::optional<ResourceLimits>& limits) {
  CgroupPlan plan;
  const std::string group = host.unified + "/" + daemon_group;
  plan.cell = group + "/" + slot;
  std::string enabled;
  for (const char* name : kNeeded) {
    if (has(host.controllers, name)) enabled += std::string(enabled.empty() ? "+" : " +") + name;
  }
  plan.folders = {group, plan.cell};
  if (!enabled.empty()) {
    plan.settings.emplace_back(host.unified + "/cgroup.subtree_control", enabled);
    plan.settings.emplace_back(group + "/cgroup.subtree_control", enabled);
  }
  for (const char* name : {"/agent", "/agent/init", "/shell", "/shell/init"}) {
    plan.folders.push_back(plan.cell + name);
  }
  for (const char* name : kNeeded) {
    if (has(host.controllers, name)) {
      if (limits) limit_v2(plan.settings, plan.cell, name, *limits);
      if (std::string(name) == "memory") plan.memory = plan.cell;
      continue;
    }
    const std::string parent = host.legacy.at(name) + "/" + daemon_group;
    const std::string folder = parent + "/" + slot;
    plan.folders.push_back(parent);
    plan.folders.push_back(folder);
    plan.join.push_back(folder);
    if (limits) limit_v1(plan.settings, folder, name, *limits);
    if (std::string(name) == "memory") plan.memory = folder;
  }
  return plan;
}

}  // namespace cellar::sandbox
