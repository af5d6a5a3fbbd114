#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cellar::cell {

inline constexpr std::size_t kCodeNameMax = 100;
inline constexpr std::size_t kCodeBytesMax = 8 << 20;

// Whether what V8 makes of the agent host's code may be in a file of this name: at most
// kCodeNameMax letters, digits, "." and "-", the ending ".code".
bool is_code_name(std::string_view name);

// Keeps it beside the agent host's own files, for those that start later. Blocking. Throws Error:
// `invalid_argument` for another name, `too_large` for more than kCodeBytesMax.
void keep_code(const std::string& folder, const std::string& name, std::string_view bytes);

// Removes what is kept there and is not as it was written: V8 does not notice, and Node.js would
// end when it runs it. Before any agent host is started from there. Blocking. Throws Error.
void drop_damaged_code(const std::string& folder);

}  // namespace cellar::cell
