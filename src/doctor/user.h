#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "sandbox/cgroup.h"
#include "sandbox/rights.h"
#include "sys/own_namespace.h"

// Who the daemon is, or would be: root, or a user with a namespace of its own (ADR 0014).
namespace cellar::doctor {

struct User {
  sandbox::Rights rights = sandbox::Rights::root;
  unsigned uid = 0;     // outside of the namespace
  sys::OwnIds ids;      // those of a user who is root of a namespace
  std::string refusal;  // what kept a user from being root of a namespace; empty where nothing did
  std::string remedy;
  sandbox::CgroupHost cgroups;  // those that a user's daemon has taken (sandbox/delegated.h)
  std::string no_cgroups;       // why it has taken none; empty, too: it has not looked
};

// Makes this process what the daemon of the folder `state` is. As root nothing happens; another
// user becomes root of a user namespace: the one above that of `living`, a process of one of its
// cells, or a new one; its ids must be those that the files in `state` have (state_ids.h). For
// programs that have one thread: a child is forked. What refuses is in the answer.
User become_daemon_user(const std::string& state, std::optional<pid_t> living = std::nullopt);

// Where the daemon of this process's user keeps its state, and the key that seals secrets.
std::string default_state();
std::string default_seal_key_file();

}  // namespace cellar::doctor
