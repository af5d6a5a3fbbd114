#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/cgroup.h"
#include "spawn/blank.h"

namespace cellar::spawn {

// Blanks that are ready before anybody asks. They come in pairs, one for each domain of a cell, as
// both share the cell's cgroups: a **slot** is those groups, with a name that the cell keeps while
// it runs. Single-threaded; not even the spawner forks while it is used.
class Pool {
 public:
  struct Options {
    sandbox::CgroupHost host;
    std::string daemon_group;
    std::string run;        // begins the name of each slot, different for each spawner
    std::size_t ready_max;  // slots ahead
  };
  Pool(const Programs& programs, Options options)
      : programs_(programs), options_(std::move(options)) {}
  // Ends all blanks, and removes the groups of those that nobody got. Some ms.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  struct Taken {
    std::string slot;
    Blank blank;
  };
  // A blank of that kind: in a new slot, or in `slot`, which a cell has. Throws Error.
  Taken take(const std::string& slot, sandbox::DomainKind kind);
  // Makes the groups of a slot without blanks, a new one where `slot` is empty, and names it.
  // Throws Error.
  std::string make_groups(const std::string& slot);
  sandbox::DomainGroups groups_of(const std::string& slot, sandbox::DomainKind kind) const;
  // Ends and removes a slot that was taken for nothing.
  void discard(const std::string& slot);

  // Makes one slot where some are missing, and says so. After a failure, which is told on standard
  // error, none is made ahead any more until one was made on demand.
  bool make_ahead();
  // Whether a half of what should be ready is missing.
  bool is_low() const noexcept;

  // What to wait for besides requests, and what to do when something was said there.
  std::vector<int> sockets() const;
  void check_blanks();

 private:
  using Pair = std::array<std::optional<Blank>, 2>;  // by DomainKind
  struct Slot {
    std::string name;
    Pair blanks;
  };
  Slot make_slot();
  Blank make_blank(const std::string& slot, sandbox::DomainKind kind);
  sandbox::CgroupPlan groups_of(const std::string& slot) const;
  bool try_discard(const std::string& slot) const;
  void discard_undone();

  const Programs& programs_;
  Options options_;
  std::uint64_t count_ = 0;
  bool failing_ = false;
  std::deque<Slot> ready_;
  std::vector<std::string> undone_;    // slots that could not be removed: it is tried again
  std::map<std::string, Pair> given_;  // slots of cells, with the blank that nobody took yet
};

}  // namespace cellar::spawn
