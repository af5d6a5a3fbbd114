#pragma once

#include <string>
#include <vector>

#include "sys/fd.h"

namespace cellar::spawn {

// Keeps the mounts, the network and the message queues of domains a little longer than the domains
// live. Before mounts go, the kernel waits until nobody on any processor looks at them, and before
// an overlay goes it writes a whole file system back, which takes as long as others have dirty
// pages there: those would be the last things that a dying cell-init does, while the daemon waits
// for its end. A network is taken down by threads of the kernel, on the processor that the other
// cell-init is dying on. Here both are done by a process of its own, in a quiet moment.
class HeldNamespaces {
 public:
  // When so many domains have ended, it does not wait for a quiet moment.
  static constexpr std::size_t kEndedMax = 32;

  struct Owner {
    std::string cell_dir;
    std::string slot;
  };
  // Holds namespaces of a domain of that cell until `process`, its cell-init, has ended.
  void hold(Owner owner, sys::Fd process, std::vector<sys::Fd> namespaces);
  // The slot of the cell's domain that has not ended; empty where there is none.
  std::string slot_of(const std::string& cell_dir) const;
  // What was made in a folder, which is now `cell_dir`, is that cell's from now on, whatever
  // happens: its `count` domains get this host name. Throws Error where fewer have not ended.
  void adopt(const std::string& made_in, const std::string& cell_dir, const std::string& host_name,
             std::size_t count);
  // Whether a domain in this slot has not ended.
  bool has_slot(const std::string& slot) const;
  // What becomes readable when something is gone that the cell's ended domains had mounted; empty:
  // all is gone, and it gets new ones. An overlay that is still there would keep what is deleted in
  // the next one on the disk.
  sys::Fd going(const std::string& cell_dir);

  // Readable when a domain has ended.
  std::vector<int> descriptors() const;
  // Takes note of the domains that have ended.
  void note_ended();
  std::size_t ended_count() const noexcept { return ended_.size(); }
  // Lets another process let go of all that ended domains had; false where there is nothing.
  bool release_ended();

 private:
  struct Held {
    Owner owner;
    sys::Fd process;
    std::vector<sys::Fd> namespaces;
  };
  // A process that lets go of what these cells had.
  struct Release {
    std::vector<std::string> cell_dirs;
    sys::Fd process;
  };
  void forget_ended_releases();
  [[noreturn]] static void let_go(const std::vector<Held>& ended, int ours_closed);

  std::vector<Held> held_;
  std::vector<Held> ended_;
  std::vector<Release> releases_;
};

}  // namespace cellar::spawn
