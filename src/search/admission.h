#pragma once

#include <cstdint>
#include <string_view>

namespace cellar::search {

// Larger files are data.
inline constexpr std::size_t kFileBytesMax = 1'000'000;

enum class Admission : std::uint8_t { indexed, too_large, binary, minified, index_full };

// What becomes of a text: only what people wrote is worth a place.
// Binary: a NUL byte in it. Minified: lines of more than 200 bytes on average.
Admission admit(std::string_view text) noexcept;

// Folders that hold no code of the project: version control, installed packages, build output and
// caches. `name` is the folder's own name.
bool is_skipped_folder(std::string_view name) noexcept;

}  // namespace cellar::search
