#include "sandbox/cgroup.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sys/file.h"

namespace cellar::sandbox {
namespace {

constexpr const char* kNeeded[] = {"memory", "pids", "cpu"};
constexpr std::uint32_t kCpuPeriodUs = 100'000;
constexpr std::uint32_t kBfqWeightMax = 1000;
constexpr std::uint32_t kSharesPerWeight = 10;  // 1024 shares are v1's usual, weight 100 is v2's

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string cpu_quota_us(std::uint32_t cpu_millis) {
  return std::to_string(std::uint64_t{cpu_millis} * kCpuPeriodUs / 1000);
}

using Settings = std::vector<std::pair<std::string, std::string>>;

void limit_v2(Settings& settings, const std::string& folder, const std::string& controller,
              const ResourceLimits& limits) {
  const auto set = [&](const char* file, const std::string& value) {
    settings.emplace_back(folder + file, value);
  };
  if (controller == "memory" && limits.memory_bytes != 0) {
    set("/memory.max", std::to_string(limits.memory_bytes));
    // What runs has no more memory by swapping; what is paused may be moved there.
    set("/memory.swap.max", "0");
  }
  if (controller == "pids" && limits.pids_max != 0) {
    set("/pids.max", std::to_string(limits.pids_max));
  }
  if (controller == "cpu" && limits.cpu_millis != 0) {
    set("/cpu.max", cpu_quota_us(limits.cpu_millis) + " " + std::to_string(kCpuPeriodUs));
  }
  if (controller == "cpu" && limits.cpu_weight != 0) {
    set("/cpu.weight", std::to_string(limits.cpu_weight));
  }
}

void limit_v1(Settings& settings, const std::string& folder, const std::string& controller,
              const ResourceLimits& limits) {
  const auto set = [&](const char* file, const std::string& value) {
    settings.emplace_back(folder + file, value);
  };
  if (controller == "memory" && limits.memory_bytes != 0) {
    set("/memory.limit_in_bytes", std::to_string(limits.memory_bytes));
    set("/memory.swappiness", "0");
  }
  if (controller == "pids" && limits.pids_max != 0) {
    set("/pids.max", std::to_string(limits.pids_max));
  }
  if (controller == "cpu" && limits.cpu_millis != 0) {
    set("/cpu.cfs_period_us", std::to_string(kCpuPeriodUs));
    set("/cpu.cfs_quota_us", cpu_quota_us(limits.cpu_millis));
  }
  if (controller == "cpu" && limits.cpu_weight != 0) {
    set("/cpu.shares", std::to_string(limits.cpu_weight * kSharesPerWeight));
  }
}

// The cell's group in the tree of a v1 controller, which all its processes join.
std::string add_v1(CgroupPlan& plan, const std::string& mount, const std::string& daemon_group,
                   const std::string& slot) {
  const std::string parent = mount + "/" + daemon_group;
  plan.folders.push_back(parent);
  plan.folders.push_back(parent + "/" + slot);
  plan.join.push_back(parent + "/" + slot);
  return parent + "/" + slot;
}

}  // namespace

CgroupHost find_cgroup_host(const std::string& root) {
  CgroupHost host;
  const std::string mounts = sys::read_file(root + "/proc/self/mounts").value_or("");
  for (const std::string_view line : split(mounts, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 4) continue;
    if (fields[2] == "cgroup2" && host.unified.empty()) host.unified = fields[1];
    if (fields[2] != "cgroup") continue;
    for (const std::string_view option : split(fields[3], ',')) {
      host.legacy.emplace(option, fields[1]);
    }
  }
  if (host.unified.empty()) return host;
  const std::string controllers =
      sys::read_file(root + host.unified + "/cgroup.controllers").value_or("");
  for (const std::string_view name : split(trim(controllers), ' ')) {
    if (!name.empty()) host.controllers.emplace_back(name);
  }
  return host;
}

CgroupHost read_cgroup_host() {
  CgroupHost host = find_cgroup_host();
  if (host.unified.empty()) {
    throw Error(ErrorCode::unavailable, "no_cgroup", "cgroup v2 is not mounted",
                "mount -t cgroup2 none /sys/fs/cgroup/unified");
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
  if (host.unified.empty()) return plan;
  const std::string group = host.unified + "/" + daemon_group;
  plan.cell = group + "/" + slot;
  std::string enabled;
  for (const char* name : kNeeded) {
    if (has(host.controllers, name)) enabled += std::string(enabled.empty() ? "+" : " +") + name;
  }
  if (has(host.controllers, "io")) enabled += std::string(enabled.empty() ? "+" : " +") + "io";
  plan.folders = {group, plan.cell};
  const auto enable_in = [&](const std::string& folder) {
    if (!enabled.empty()) plan.settings.emplace_back(folder + "/cgroup.subtree_control", enabled);
  };
  enable_in(host.unified);
  enable_in(group);
  for (const char* name : {"/agent", "/agent/init", "/shell", "/shell/init"}) {
    plan.folders.push_back(plan.cell + name);
  }
  if (limits) {
    // Not before the domains' processes have gone to `init`: a group with members has none below.
    for (const char* name : {"", "/agent", "/shell"}) enable_in(plan.cell + name);
    if (limits->io_weight != 0) {
      plan.wishes.emplace_back(plan.cell + "/io.weight", std::to_string(limits->io_weight));
    }
  }
  for (const char* name : kNeeded) {
    if (has(host.controllers, name)) {
      if (limits) limit_v2(plan.settings, plan.cell, name, *limits);
      if (std::string(name) == "memory") plan.memory = plan.cell;
      continue;
    }
    // A user may have been given a part of cgroup v2 that lacks one (sandbox/delegated.h).
    if (!host.legacy.contains(name)) continue;
    const std::string folder = add_v1(plan, host.legacy.at(name), daemon_group, slot);
    if (limits) limit_v1(plan.settings, folder, name, *limits);
    if (std::string(name) == "memory") plan.memory = folder;
  }
  if (!has(host.controllers, "io") && host.legacy.contains("blkio")) {
    const std::string folder = add_v1(plan, host.legacy.at("blkio"), daemon_group, slot);
    if (limits && limits->io_weight != 0) {
      plan.wishes.emplace_back(folder + "/blkio.bfq.weight",
                               std::to_string(std::min(limits->io_weight, kBfqWeightMax)));
    }
  }
  return plan;
}

std::string program_group(const CgroupPlan& cell, DomainKind kind, std::uint64_t number) {
  return cell.domain(kind) + "/c" + std::to_string(number);
}

ProgramPlan plan_program(const CgroupHost& host, const CgroupPlan& cell, DomainKind kind,
                         std::uint64_t number, const ResourceLimits& limits) {
  ProgramPlan plan;
  if (cell.cell.empty()) return plan;
  const std::string name = "/c" + std::to_string(number);
  plan.group = program_group(cell, kind, number);
  plan.memory = cell.memory;
  const std::string place = cell.cell.substr(host.unified.size());  // below every mount point
  for (const char* controller : kNeeded) {
    if (has(host.controllers, controller)) {
      limit_v2(plan.settings, plan.group, controller, limits);
      if (std::string(controller) == "memory") plan.memory = plan.group;
      continue;
    }
    if (!host.legacy.contains(controller)) continue;
    const std::string folder = host.legacy.at(controller) + place + name;
    const std::size_t before = plan.settings.size();
    limit_v1(plan.settings, folder, controller, limits);
    if (plan.settings.size() == before) continue;
    plan.folders.push_back(folder);
    if (std::string(controller) == "memory") plan.memory = folder;
  }
  return plan;
}

}  // namespace cellar::sandbox
