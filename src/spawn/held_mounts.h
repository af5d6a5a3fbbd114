#pragma once

#include <string>
#include <vector>

#include "sys/fd.h"

namespace cellar::spawn {

// Keeps what domains have mounted a little longer than the domains live. Before mounts go, the
// kernel waits until nobody on any processor looks at them, and before an overlay goes it writes a
// whole file system back, which takes as long as others have dirty pages there: those would be the
// last things that a dying cell-init does, while the daemon waits for its end. Here they are done
// by a process of its own, later.
class HeldMounts {
 public:
  static constexpr int kFinishMs = 30'000;

  // Holds the mount namespace of a domain of that cell, until `process`, its cell-init, has ended.
  void hold(std::string cell_dir, sys::Fd process, sys::Fd mounts);
  // Returns when all is gone that the cell's ended domains had mounted: it gets new ones. An
  // overlay that is still there would keep what is deleted in the next one on the disk. Throws
  // Error where that takes longer than kFinishMs.
  void finish(const std::string& cell_dir);

  // Readable when a domain has ended.
  std::vector<int> descriptors() const;
  // Lets another process let go of the mounts of all ended domains; false where there are none.
  bool release_ended();

 private:
  struct Held {
    std::string cell_dir;
    sys::Fd process;
    sys::Fd mounts;
  };
  // A process that lets go of what these cells had mounted.
  struct Release {
    std::vector<std::string> cell_dirs;
    sys::Fd process;
  };
  std::vector<Held> take_ended(const std::string& cell_dir = {});
  void forget_ended_releases();
  [[noreturn]] static void let_go(const std::vector<Held>& ended, int ours_closed);

  std::vector<Held> held_;
  std::vector<Release> releases_;
};

}  // namespace cellar::spawn
