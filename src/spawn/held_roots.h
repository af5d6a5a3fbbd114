#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"

namespace cellar::spawn {

// Keeps the writable roots of domains mounted a little longer than the domains live. The kernel
// writes a whole file system back before an overlay goes, which takes as long as others have dirty
// pages there: that would be the last thing that a dying cell-init does, while the daemon waits for
// its end. Here it is done by a process of its own, later.
class HeldRoots {
 public:
  // Holds what the domain has mounted, whose cell-init is `pid`. Throws Error.
  void hold(pid_t pid, const sandbox::DomainSpec& spec, const sandbox::Image& image);
  // Lets go of the cell's roots of ended domains at once: it gets new ones.
  void finish(const std::string& cell_dir);

  // Readable when a domain has ended.
  std::vector<int> descriptors() const;
  // Lets another process let go of the roots of all ended domains; false where there are none.
  bool release_ended();

 private:
  struct Held {
    std::string cell_dir;
    sys::Fd process;
    std::vector<sys::Fd> mounts;
  };
  std::vector<Held> take_ended(const std::string& cell_dir = {});

  std::vector<Held> held_;
};

}  // namespace cellar::spawn
