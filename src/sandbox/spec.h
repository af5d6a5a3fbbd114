#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/rights.h"
#include "sandbox/runtime.h"

namespace cellar::sandbox {

// Who runs in a domain. The agent domain sees /data and the agent host; the shell domain never
// does.
enum class DomainKind : std::uint8_t { agent, shell };

constexpr std::string_view name_of(DomainKind kind) noexcept {
  return kind == DomainKind::agent ? "agent" : "shell";
}

// What is made of a domain. An agent domain can be made in two halves: a **warm** one is all of it
// that no cell is needed for, nobody's yet, and becomes a cell's own later.
enum class Part : std::uint8_t { whole, warm };

// A host folder or file that a domain sees read-only.
struct ReadOnlyBind {
  std::string host_path;  // absolute
  std::string path;       // absolute, inside the domain
  bool operator==(const ReadOnlyBind&) const = default;
};

// All that the spawner needs to make one domain of a cell. Every path is absolute and the host's
// own: none of them goes through a folder that a cell can change.
struct DomainSpec {
  std::string cell_id;  // also the host name inside
  DomainKind kind = DomainKind::shell;
  Runtime runtime = Runtime::native;
  Rights rights = Rights::root;
  Part part = Part::whole;      // of a warm one: no cell_dir, no tmp_bytes
  std::string cell_dir;         // <state>/cells/<id>
  std::string image_dir;        // <state>/images/<digest>; empty: the dev image
  std::uint32_t uid_base = 0;   // host uid and gid of the domain's root; 65536 ids from here
  std::uint64_t tmp_bytes = 0;  // size limit of each of /tmp, /run and /dev/shm
  std::uint32_t pids_max = 0;   // of each user in it, for Rights::user: cgroups know better
  std::vector<ReadOnlyBind> binds;
  bool operator==(const DomainSpec&) const = default;
};

// Where the processes of one domain are counted.
struct DomainGroups {
  std::vector<std::string> join;  // cgroup v1 folders
  std::string own;                // cgroup v2 folder, with `init` in it; empty: nowhere
  bool operator==(const DomainGroups&) const = default;
};

}  // namespace cellar::sandbox
