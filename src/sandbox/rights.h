#pragma once

#include <cstdint>

namespace cellar::sandbox {

// What the daemon may do on this machine: everything, as its root; or what a user may who is root
// of a user namespace with ids of its own (sys/own_namespace.h): it translates no ids, and has
// cgroups only where it was given some (sandbox/delegated.h).
enum class Rights : std::uint8_t { root, user };

// The id of root in all domains of a user's daemon, as the daemon sees it: on disk, too.
inline constexpr std::uint32_t kUserIdBase = 1;

}  // namespace cellar::sandbox
