#pragma once

#include <cstdint>
#include <string>

namespace cellar::cell {

// What a run is paused with as `replay_mismatch`: `detail`, the JSON text {expected, got, matched}
// of an agent host, with the ordinal at which it differs, its likely cause, and all of it in words
// (`message`). Text that is something else comes back as it is, unless it is too long.
std::string explain_mismatch(std::string detail, std::uint32_t ordinal);

}  // namespace cellar::cell
