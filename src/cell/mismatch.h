#pragma once

#include <cstdint>
#include <string>

namespace cellar::cell {

// What a run is paused with as `replay_mismatch`: `detail`, the JSON text {expected, got, matched}
// of an agent host, with the ordinal at which it differs and with its likely cause, in words. Text
// that is something else comes back as it is.
std::string explain_mismatch(std::string detail, std::uint32_t ordinal);

}  // namespace cellar::cell
