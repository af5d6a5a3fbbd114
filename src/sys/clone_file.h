#pragma once

namespace cellar::sys {

// Lets the empty file `to` share all bytes of the file `from`, as both are at this moment; later
// writes to one are not seen in the other. False where the file system cannot do that (btrfs and
// xfs can).
bool try_clone(int from, int to) noexcept;

}  // namespace cellar::sys
