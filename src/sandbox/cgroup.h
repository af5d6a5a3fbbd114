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
  std::string unified;                        // mount point of cgroup v2; empty: there are none
  std::vector<std::string> controllers;       // of `unified`
  std::map<std::string, std::string> legacy;  // v1: controller → mount point
};

// Reads mounts and controllers, whatever is missing; of the machine whose /proc is below `root`.
CgroupHost find_cgroup_host(const std::string& root = {});
// The same, but throws Error `unavailable`, reason `no_cgroup`, naming what is missing: a cell
// without limits is not made.
CgroupHost read_cgroup_host();

// What the processes of a group may use together. 0: as much as the group above.
struct ResourceLimits {
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids_max = 0;
  std::uint32_t cpu_millis = 0;  // 1000 is one processor
  // Shares where several want it; 100 is usual, at most 10,000.
  std::uint32_t cpu_weight = 0;
  std::uint32_t io_weight = 0;  // for schedulers that know it: bfq, or iocost on cgroup v2
  bool operator==(const ResourceLimits&) const = default;
};

// The groups of one cell, as a value. All of it is empty where there are none.
struct CgroupPlan {
  std::vector<std::string> folders;                           // to make, parents first
  std::vector<std::pair<std::string, std::string>> settings;  // file → value, in order
  std::vector<std::pair<std::string, std::string>> wishes;    // the same, where there is the file
  std::vector<std::string> join;                              // v1 folders for every process
  std::string cell;                                           // v2 folder of the cell
  std::string memory;                                         // folder that counts memory
  std::string domain(DomainKind kind) const {
    if (cell.empty()) return {};
    return cell + (kind == DomainKind::agent ? "/agent" : "/shell");
  }
};

// `daemon_group` is one name for all cells of a state folder, `slot` one for a running cell: the
// groups are made before it is known for which (spawn/pool.h), and get their limits then.
CgroupPlan plan_cgroups(const CgroupHost& host, const std::string& daemon_group,
                        const std::string& slot,
                        const std::optional<ResourceLimits>& limits = std::nullopt);

// The groups of one program in a cell, as a value; empty where its cell has none.
struct ProgramPlan {
  std::string group;                                          // v2 folder, started into
  std::vector<std::string> folders;                           // v1, to make; joined before it runs
  std::vector<std::pair<std::string, std::string>> settings;  // file → value, in order
  std::string memory;  // counts its memory alone; else the folder that counts the cell's
};

// The v2 folder of a program.
std::string program_group(const CgroupPlan& cell, DomainKind kind, std::uint64_t number);

// `number` names no other program of the cell. A v1 group is joined in 10 ms, under a lock of the
// whole machine: a program has one only for what it has limits of its own for.
ProgramPlan plan_program(const CgroupHost& host, const CgroupPlan& cell, DomainKind kind,
                         std::uint64_t number, const ResourceLimits& limits);

}  // namespace cellar::sandbox
