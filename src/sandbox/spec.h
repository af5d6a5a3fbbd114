#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cellar::sandbox {

// Who runs in a domain. The agent domain sees /data and the agent host; the shell domain never
// does.
enum class DomainKind : std::uint8_t { agent, shell };

// A host folder or file that a domain sees read-only.
struct ReadOnlyBind {
  std::string host_path;  // absolute
  std::string path;       // absolute, inside the domain
};

// All that the spawner needs to make one domain of a cell. Every path is absolute.
struct DomainSpec {
  std::string cell_id;  // also the host name inside
  DomainKind kind = DomainKind::shell;
  std::string cell_dir;         // <state>/cells/<id>
  std::uint32_t uid_base = 0;   // host uid and gid of the domain's root; 65536 ids from here
  std::string image = "dev";    // "dev" is the masked view of the host; else a root folder
  std::uint64_t tmp_bytes = 0;  // size limit of /tmp and of /dev/shm
  std::vector<ReadOnlyBind> binds;
  std::vector<std::string> join_procs;  // cgroup.procs files of cgroup v1 that init is put into
  std::string unified_group;            // cgroup v2 folder that init is cloned into
  std::string init_program;             // cell-init
};

}  // namespace cellar::sandbox
