#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cell/agent_language.h"
#include "sandbox/spec.h"
#include "sys/disk_limit.h"

namespace cellar::cell {

// Where the parts of one cell are on the host. Every folder is the daemon's and 0700 but for what a
// domain sees through its own mounts (docs/internals/sandbox.md). Copying `dir` moves the cell.
struct CellLayout {
  std::string dir;  // <state>/cells/<cell_id>

  std::string record() const { return dir + "/cell.json"; }
  std::string secrets() const { return dir + "/secrets.sealed"; }
  std::string authority() const { return dir + "/authority.sealed"; }
  std::string trust() const { return dir + "/data/trust"; }  // the agent's: /data/trust
  std::string work() const { return dir + "/work"; }
  std::string data() const { return dir + "/data"; }
  std::string agent_version(const std::string& digest, AgentLanguage language) const {
    return dir + agent_version_inside(digest, language);
  }
  std::string versions() const { return dir + "/data/versions"; }
  // Where the agent domain sees it.
  static std::string agent_version_inside(const std::string& digest, AgentLanguage language) {
    return "/data/versions/" + digest + std::string(extension_of(language));
  }
  std::string database() const { return dir + "/db/cell.sqlite"; }
  std::string journal() const { return dir + "/journal"; }
  std::string checkpoints() const { return dir + "/checkpoints"; }
  std::string index() const { return dir + "/index"; }
  std::string network() const { return dir + "/network.json"; }
  std::string llm() const { return dir + "/llm.json"; }
  std::string run() const { return dir + "/run"; }
  // Where its cell-init listens.
  std::string domain_socket(sandbox::DomainKind kind) const {
    return run() + "/" + std::string(name_of(kind)) + ".sock";
  }
  std::string last_use() const { return run() + "/last_use.json"; }
  std::string files_told() const { return run() + "/files_told.json"; }
  std::string programs() const { return dir + "/run/programs"; }
  std::string processes() const { return dir + "/run/processes"; }

  // What counts as the cell's part of the disk.
  std::vector<std::string> limited() const { return {dir + "/root", work()}; }

  // Makes all folders that are not there, durable when this returns. A new cell's limited ones are
  // made such that `enforcer` can limit them; those that a domain sees belong to `root`, the id of
  // its root on disk. Blocking. Throws Error.
  void create(sys::DiskEnforcer enforcer, std::uint32_t root) const;
  // Removes all of it, as long as `go_on` says: false where it said no. Blocking. Throws Error.
  bool remove(const std::function<bool()>& go_on) const;
};

}  // namespace cellar::cell
