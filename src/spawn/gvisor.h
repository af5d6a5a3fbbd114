#pragma once

#include <sys/types.h>

#include <string>

#include "sandbox/oci_bundle.h"
#include "sandbox/spawn_protocol.h"
#include "sys/fd.h"

namespace cellar::spawn {

// Makes domains that gVisor runs: a child puts the root together in namespaces of its own, as for a
// native domain, and executes `runsc` there instead of entering it (docs/internals/gvisor.md).
class Gvisor {
 public:
  // `state_dir` is the daemon's, `init_program` cell-init on the host, `filter` the commands' BPF
  // program for gVisor, sealed in memory.
  Gvisor(std::string state_dir, std::string init_program, sys::Fd filter)
      : state_dir_(std::move(state_dir)),
        init_program_(std::move(init_program)),
        filter_(std::move(filter)) {}

  // Makes a sandbox and runs a program of ours in it, until that has worked once: first on the
  // platform systrap, then on ptrace. Throws Error, naming what each of them failed with.
  void probe();

  // Returns the host's pid of the sandbox once cell-init serves in it. Throws Error; nothing is
  // left then.
  pid_t make(const sandbox::MakeDomain& request, const sandbox::Image& image,
             const sandbox::DomainGroups& groups);

 private:
  struct Launch;
  void launch(const Launch& launch);
  [[noreturn]] void become_runsc(const Launch& launch, int user, int report);

  std::string state_dir_;
  std::string init_program_;
  sys::Fd filter_;
  std::string platform_;  // that has worked; empty: not probed yet
};

}  // namespace cellar::spawn
