#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/spec.h"

// Where a cell's processes are counted and limited, on cgroup v2, v1 and the mix of both. Freezing,
// killing and the group of each command always use the unified tree, which needs no controllers for
// that; limits use whichever hierarchy has the controller.
namespace cellar::sandbox {

// What this machine mounts.
struct CgroupHost {
  std::string unified;                        // mount point of cgroup v2
  std::vector<std::string> controllers;       // of `unified`
  std::map<std::string, std::string> legacy;  // v1: controller → mount point
};

// Reads mounts and controllers. Throws Error `unavailable`, reason `no_cgroup`, naming what is
// missing: a cell without limits is not made.
CgroupHost read_cgroup_host();

struct ResourceLimits {
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids_max = 0;
  std::uint32_t cpu_millis = 0;  // 1000 is one processor
};

// The groups of one cell, as a value.
struct CgroupPlan {
  std::vector<std::string> folders;                           // to make, parents first
  std::vector<std::pair<std::string, std::string>> settings;  // file → value, in order
  std::vector<std::string> join;                              // v1 folders for every process
  std::string cell;                                           // v2 folder of the cell
  std::string memory;                                         // folder that counts memory
  std::string domain(DomainKind kind) const {
    return cell + (kind == DomainKind::agent ? "/agent" : "/shell");
  }
};

// `daemon_group` is one name for all cells of a state folder, `slot` one for a running cell: the
// groups are made before it is known for which (spawn/pool.h), and get their limits then.
CgroupPlan plan_cgroups(const CgroupHost& host, const std::string& daemon_group,
                        const std::string& slot,
                        const std::optional<ResourceLimits>& limits = std::nullopt);

}  // namespace cellar::sandbox
