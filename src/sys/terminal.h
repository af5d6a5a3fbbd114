#pragma once

namespace cellar::sys {

// Whether a person looks at (or types into) `fd`.
bool is_terminal(int fd) noexcept;

}  // namespace cellar::sys
