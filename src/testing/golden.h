#pragma once

#include <string>

namespace cellar::testing {

// The contents of the golden file at `path`; with UPDATE in the environment it becomes `text`
// first. Compare `text` with what is returned.
std::string golden(const std::string& path, const std::string& text);

}  // namespace cellar::testing
