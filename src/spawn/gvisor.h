#pragma once

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

  // Both begin only, and return where runsc and what it starts tell what goes wrong: a pipe that
  // ends when all is done (sandbox::RunscStarted). Throw Error; nothing is left then but the
  // groups.
  //
  // Runs a program of ours in a sandbox.
  sys::Fd probe(const std::string& platform, const sandbox::DomainGroups& groups);
  // Makes a domain, whose folder is the socket's path and ".runsc".
  sys::Fd make(const sandbox::MakeDomain& request, const sandbox::Image& image,
               const sandbox::DomainGroups& groups);

 private:
  struct Launch;
  sys::Fd launch(const Launch& launch);
  [[noreturn]] void become_runsc(const Launch& launch, int user, int report);

  std::string state_dir_;
  std::string init_program_;
  sys::Fd filter_;
};

}  // namespace cellar::spawn
