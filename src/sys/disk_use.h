#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace cellar::sys {

struct DiskUse {
  std::uint64_t bytes = 0;  // in blocks of the disk, as du(1) counts
  std::uint64_t inodes = 0;
  DiskUse& operator+=(const DiskUse& other) {
    bytes += other.bytes;
    inodes += other.inodes;
    return *this;
  }
  bool operator==(const DiskUse&) const = default;
};

// What the tree at `path` takes, itself included; a file with several names once. Links are not
// followed, and other file systems not entered. What vanishes meanwhile is passed over. It stops
// after `inodes_max`, and in a tree deeper than kDepthMax, or than folders can be opened, which has
// `deep_inodes` at least: nobody hides below. Blocking. Throws Error where `path` cannot be read.
inline constexpr std::size_t kDepthMax = 2000;
struct DiskWalk {
  std::uint64_t inodes_max;
  std::uint64_t deep_inodes;
};
DiskUse disk_use(const std::string& path, const DiskWalk& walk);

// What deleted files take that these processes still have open or mapped, but for those in memory
// only. It stops where they have more than `walk.open_max` open and mapped together, which is
// `walk.unseen_inodes` at least: nobody hides behind them. Blocking. Processes that are gone are
// passed over.
struct UnlinkedWalk {
  std::uint64_t open_max;
  std::uint64_t unseen_inodes;
};
DiskUse unlinked_use(const std::vector<pid_t>& processes, const UnlinkedWalk& walk);

// What is left on the file system of `path`, and what it has altogether. Quick. Throws Error.
DiskUse disk_free(const std::string& path);
DiskUse disk_size(const std::string& path);

}  // namespace cellar::sys
