#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// How a user who is not root becomes root of a user namespace of its own, with a range of ids that
// are the user's alone (/etc/subuid, /etc/subgid).
namespace cellar::sys {

inline constexpr std::uint32_t kOwnIds = 65536;  // as many as a cell has

// Where the ranges of a user and of its group begin, outside of the namespace.
struct OwnIds {
  std::uint32_t first_user = 0;
  std::uint32_t first_group = 0;
  bool operator==(const OwnIds&) const = default;
};

// The first id of the user's first range of kOwnIds ids or more in a file like /etc/subuid, which
// names users by name or number; nullopt where there is none.
std::optional<std::uint32_t> find_own_ids(std::string_view text, std::string_view user,
                                          std::string_view uid);

// What /etc/subuid and /etc/subgid give this process's user. Throws Error `unavailable`, reason
// `no_own_ids`, which says what is missing.
OwnIds own_ids();

// Whose ids 0 and 1 … are in the new namespace.
enum class Numbers : std::uint8_t {
  user_first,  // 0 is the user, 1 to kOwnIds are the range
  range_only,  // 0 to kOwnIds-1 are the range, kOwnIds is the user; this process becomes 0
};

// Makes this process root of new user and mount namespaces. It keeps its number, and has no rights
// over anything else. For programs that have one thread: a child is forked, and newuidmap and
// newgidmap are run. Throws Error like own_ids().
void enter_own_namespace(Numbers numbers = Numbers::user_first);

// The same, but the user namespace is the one above that of the process `pid`, which was made by
// this user. Throws Error.
void enter_namespace_above(pid_t pid);

// What the namespace that this process entered by one of these maps 1 to: with
// Numbers::user_first, where its range begins. Throws Error.
OwnIds entered_ids();

// The id outside that a text like /proc/self/uid_map maps `inside` to; nullopt where it maps none.
std::optional<std::uint32_t> find_mapped(std::string_view map, std::uint32_t inside);

}  // namespace cellar::sys
